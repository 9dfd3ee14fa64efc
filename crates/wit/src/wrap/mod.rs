//! Core modules become components: WIT text says how their exports are meant, or their own core types do.

mod error;
mod items;
mod module;
mod wit;

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{FuncType, ValType};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldId};

use crate::error::nearest;
use crate::names::kebab;
pub use error::WrapError;
use module::{Outside, Shown};
use wit::Target;

/// Turns a core module into a component.
///
/// `wit` is a whole WIT document with one world, or a fragment of one: functions
/// (`answer: func() -> s32;`), type definitions, `interface` blocks. Names may be in kebab-case there
/// and in snake_case (or camelCase) in the module. Without it, the signature is what the core type of
/// the export `method` says, under the name [`kebab`] makes of it. A module that imports
/// `wasi_snapshot_preview1` is given the adapter to WASI 0.2; one that exports `_start` too becomes a
/// command.
///
/// # Errors
/// When the module and the WIT do not fit: a missing export, type or import, and what to do about it.
pub fn wrap(module: &[u8], wit: Option<&str>, method: &str) -> Result<Vec<u8>, WrapError> {
    let outside = Outside::read(module)?;
    let preview1 = outside.imports_from(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME);
    let command = preview1 && outside.function("_start").is_some();
    let (declared, chosen) = match wit {
        Some(text) => (Some(text.to_owned()), None),
        None if outside.has_metadata => (None, None),
        None => {
            let (text, chosen) = derive(&outside, method, command)?;
            (Some(text), chosen)
        }
    };
    let mut bytes = module.to_vec();
    if let Some(text) = &declared {
        let (resolve, world) = wit::parse(text)?;
        check_imports(&outside, &resolve, world)?;
        let names = matched(&outside, &resolve, world, chosen)?;
        check_naming(&outside, &names)?;
        if wit.is_some() && names.is_empty() && !command && !outside.has_metadata {
            return Err(WrapError::NothingDeclared { example: kebab(method) });
        }
        bytes = module::renamed(module, &outside, &names)?.into_owned();
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)
            .map_err(refused)?;
    }
    // The encoder trusts modules more than they deserve: what it asserts must not end the process.
    let encoded = catch_unwind(AssertUnwindSafe(|| encode(&bytes, preview1, command)));
    encoded.unwrap_or_else(|_| {
        let message = "the encoder found the module inconsistent with itself".to_owned();
        Err(WrapError::Encode { message })
    })
}

/// A module has its exports under one scheme of names: with both, the encoder finds each function twice.
fn check_naming(outside: &Outside, names: &[(String, String)]) -> Result<(), WrapError> {
    let mut standard = outside.functions().filter(|(export, _)| export.name.starts_with("cm32p2"));
    match (standard.next(), names.first()) {
        (Some((export, _)), Some((plain, _))) => {
            let message = format!(
                "the module exports `{plain}` and `{}`, which are names of two schemes: keep one",
                export.name
            );
            Err(WrapError::Encode { message })
        }
        _ => Ok(()),
    }
}

fn encode(module: &[u8], preview1: bool, command: bool) -> Result<Vec<u8>, WrapError> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module).map_err(refused)?;
    if preview1 {
        let adapter = if command {
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
        } else {
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
        };
        encoder = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter).map_err(refused)?;
    }
    encoder.encode().map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> WrapError {
    WrapError::Encode { message: format!("{error:#}") }
}

/// The exports for a message: all that a person may have meant, with their core types.
fn listed(outside: &Outside) -> String {
    let own = |name: &str| !name.starts_with("cabi_") && !name.starts_with("cm32p2");
    let list: Vec<String> = outside
        .functions()
        .filter(|(export, _)| own(&export.name))
        .map(|(export, ty)| format!("`{}` {}", export.name, Shown(ty.params(), ty.results())))
        .collect();
    match list.len() {
        0 => "it exports no function".to_owned(),
        1..=12 => format!("it exports {}", list.join(", ")),
        more => {
            let shown = list.get(..12).unwrap_or_default().join(", ");
            format!("it exports {shown} and {} more", more - 12)
        }
    }
}

fn missing(outside: &Outside, wanted: String, name: &str) -> WrapError {
    let names: Vec<String> = outside.functions().map(|(export, _)| export.name.clone()).collect();
    let hint = match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`? {}", listed(outside)),
        None => listed(outside),
    };
    WrapError::MissingFunction { wanted, hint }
}

/// The one export that is called `name` or folds to the same; `None` when there is none.
fn find<'o>(outside: &'o Outside, names: &[String]) -> Result<Option<&'o str>, WrapError> {
    for name in names {
        if let Some((export, _)) = outside.function(name) {
            return Ok(Some(&export.name));
        }
    }
    for name in names {
        let folded = kebab(name);
        let same = |export: &str| !export.starts_with("cabi_") && kebab(export) == folded;
        let found: Vec<&str> = outside
            .functions()
            .map(|(export, _)| export.name.as_str())
            .filter(|name| same(name))
            .collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Some(one)),
            many => {
                let found = many.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
                return Err(WrapError::Ambiguous { wanted: name.clone(), found: found.join(", ") });
            }
        }
    }
    Ok(None)
}

/// WIT for the export `method`, from its core type, and that export: its WIT name may fold to the same
/// as another's, so it must not be looked for again.
fn derive<'m>(
    outside: &'m Outside,
    method: &str,
    command: bool,
) -> Result<(String, Option<&'m str>), WrapError> {
    let is_run = matches!(kebab(method).as_str(), "run" | "start")
        || (method.contains("wasi:cli/run") && method.ends_with("run"));
    if command && is_run {
        return Ok(("package crisol:guest; world crisol-guest {}".to_owned(), None));
    }
    let found = find(outside, &[method.to_owned()])?;
    let Some((export, ty)) = found.and_then(|name| outside.function(name)) else {
        return Err(missing(outside, format!("a function `{method}`"), method));
    };
    let no_type = |what: String| WrapError::NoWitType { export: export.name.clone(), what };
    let mut params = Vec::with_capacity(ty.params().len());
    for (at, core) in ty.params().iter().enumerate() {
        let wit = wit_type(*core)
            .ok_or_else(|| no_type(format!("takes {core} as parameter {}", at + 1)))?;
        params.push(format!("p{at}: {wit}"));
    }
    let result = match ty.results() {
        [] => String::new(),
        [one] => {
            let wit = wit_type(*one).ok_or_else(|| no_type(format!("gives {one}")))?;
            format!(" -> {wit}")
        }
        many => return Err(no_type(format!("gives {} results", many.len()))),
    };
    let name = kebab(&export.name);
    if wit_parser::validate_id(&name).is_err() {
        return Err(no_type("has a name that WIT cannot spell".to_owned()));
    }
    let text = format!("%{name}: func({}){result};", params.join(", "));
    Ok((text, Some(export.name.as_str())))
}

fn wit_type(core: ValType) -> Option<&'static str> {
    match core {
        ValType::I32 => Some("s32"),
        ValType::I64 => Some("s64"),
        ValType::F32 => Some("f32"),
        ValType::F64 => Some("f64"),
        _ => None,
    }
}

/// Finds every function of the world among the exports; `(export, name the encoder looks for)`. With
/// `chosen` the world has one function, and that is its export.
fn matched(
    outside: &Outside,
    resolve: &Resolve,
    world: WorldId,
    chosen: Option<&str>,
) -> Result<Vec<(String, String)>, WrapError> {
    let targets = wit::targets(resolve, world);
    let mut names = Vec::with_capacity(targets.len());
    for target in &targets {
        let wanted = target.func.legacy_core_export_name(target.interface.as_deref());
        let candidates = candidates(target, &targets);
        let found = match chosen {
            Some(export) => Some(export),
            None => find(outside, &candidates)?,
        };
        let Some(export) = found else {
            // What the module was built with may declare it already, under a name of its own.
            if outside.has_metadata {
                continue;
            }
            let looked = candidates.iter().filter(|name| !name.starts_with("cm32p2"));
            let looked: Vec<String> = looked.map(|name| format!("`{name}`")).collect();
            let wanted = format!("a function {}", looked.join(" or "));
            return Err(missing(outside, wanted, &target.func.name));
        };
        check_type(outside, resolve, target, export)?;
        if export.starts_with("cm32p2") {
            continue;
        }
        if let Some(post) = post_return(outside, export, &wanted) {
            names.push((post.to_owned(), format!("cabi_post_{wanted}")));
        }
        names.push((export.to_owned(), wanted.into_owned()));
    }
    Ok(names)
}

/// The names that a module may export `target` under, best first.
fn candidates(target: &Target<'_>, all: &[Target<'_>]) -> Vec<String> {
    let name = &target.func.name;
    let Some(interface) = &target.interface else {
        return vec![name.clone(), format!("cm32p2||{name}")];
    };
    let short = interface.rsplit('/').next().unwrap_or(interface);
    let short = short.split('@').next().unwrap_or(short);
    let mut names = vec![
        format!("{interface}#{name}"),
        format!("cm32p2|{interface}|{name}"),
        format!("{short}#{name}"),
    ];
    // A bare name will do where only one function has it.
    if all.iter().filter(|other| other.func.name == *name).count() == 1 {
        names.push(name.clone());
    }
    names
}

/// The export that frees what `export` gave back, by whichever spelling.
fn post_return<'o>(outside: &'o Outside, export: &str, wanted: &str) -> Option<&'o str> {
    let post = |name: &'o str| Some((name, name.strip_prefix("cabi_post_")?));
    let posts = outside.functions().filter_map(|(export, _)| post(&export.name));
    posts
        .filter(|(_, of)| *of == export || *of == wanted || kebab(of) == kebab(wanted))
        .map(|(name, _)| name)
        .next()
}

fn core_type(ty: WasmType) -> ValType {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}

/// Whether the export is of the core type that its WIT comes to, and the module has what that needs.
fn check_type(
    outside: &Outside,
    resolve: &Resolve,
    target: &Target<'_>,
    export: &str,
) -> Result<(), WrapError> {
    let func = target.func;
    let abi = resolve.wasm_signature(AbiVariant::GuestExport, func);
    let params: Vec<ValType> = abi.params.iter().copied().map(core_type).collect();
    let results: Vec<ValType> = abi.results.iter().copied().map(core_type).collect();
    let found: Option<&FuncType> = outside.function(export).map(|(_, ty)| ty);
    if let Some(found) = found
        && (found.params() != params || found.results() != results)
    {
        return Err(WrapError::CoreType {
            export: export.to_owned(),
            found: Shown(found.params(), found.results()).to_string(),
            wit: shown(resolve, func),
            expected: Shown(&params, &results).to_string(),
        });
    }
    let takes = func.params.iter().any(|param| wit::has_pointers(resolve, &param.ty));
    let gives = func.result.iter().any(|ty| wit::has_pointers(resolve, ty));
    let missing =
        |why, export| WrapError::MissingSupport { function: func.name.clone(), why, export };
    let why = match (takes, abi.indirect_params, gives, abi.retptr) {
        (true, ..) => "takes strings or lists",
        (_, true, ..) => "takes more than 16 core values",
        (_, _, true, _) => "gives strings or lists",
        (_, _, _, true) => "gives more than one core value",
        _ => return Ok(()),
    };
    if !outside.has_memory() {
        return Err(missing(why, "its memory as `memory`"));
    }
    if (takes || abi.indirect_params) && !outside.has_realloc() {
        let export = "`cabi_realloc` (i32, i32, i32, i32) -> i32, which allocates: \
                      (old pointer, old size, alignment, new size) -> pointer";
        return Err(missing(why, export));
    }
    Ok(())
}

/// The function for a message: `add-two: func(a: s32, b: s32) -> s32`, types shortened to their names.
fn shown(resolve: &Resolve, func: &wit_parser::Function) -> String {
    let name = |ty: &wit_parser::Type| type_name(resolve, ty);
    let params: Vec<String> =
        func.params.iter().map(|param| format!("{}: {}", param.name, name(&param.ty))).collect();
    let result = func.result.as_ref().map(|ty| format!(" -> {}", name(ty))).unwrap_or_default();
    format!("{}: func({}){result}", func.name, params.join(", "))
}

fn type_name(resolve: &Resolve, ty: &wit_parser::Type) -> String {
    use wit_parser::{Type, TypeDefKind};
    let id = match ty {
        Type::Id(id) => *id,
        Type::Bool => return "bool".to_owned(),
        Type::Char => return "char".to_owned(),
        Type::String => return "string".to_owned(),
        Type::ErrorContext => return "error-context".to_owned(),
        number => return format!("{number:?}").to_lowercase(),
    };
    let Some(def) = resolve.types.get(id) else { return "…".to_owned() };
    if let Some(name) = &def.name {
        return name.clone();
    }
    match &def.kind {
        TypeDefKind::List(item) => format!("list<{}>", type_name(resolve, item)),
        TypeDefKind::Option(some) => format!("option<{}>", type_name(resolve, some)),
        TypeDefKind::Tuple(tuple) => {
            let items: Vec<String> =
                tuple.types.iter().map(|item| type_name(resolve, item)).collect();
            format!("tuple<{}>", items.join(", "))
        }
        kind => kind.as_str().to_owned(),
    }
}

/// Whether something provides every import.
fn check_imports(outside: &Outside, resolve: &Resolve, world: WorldId) -> Result<(), WrapError> {
    if outside.has_metadata {
        return Ok(());
    }
    let declared: Vec<String> = resolve
        .worlds
        .get(world)
        .into_iter()
        .flat_map(|world| world.imports.keys())
        .map(|key| resolve.name_world_key(key))
        .collect();
    for import in &outside.imports {
        let module = import.module.as_str();
        let provided = module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME
            || module == "$root"
            || module.starts_with('[')
            || module.starts_with("cm32p2")
            || declared.iter().any(|name| name == module);
        if !provided {
            let hint = match module {
                "wasi_unstable" => {
                    "an interface older than WASI preview 1: build it with a newer toolchain"
                }
                "env" => {
                    "which is left over from linking: link what it is missing, or declare it as \
                     an import of a world in `wit`"
                }
                _ => {
                    "which `wit` does not declare: import it in a world there, or build without it"
                }
            };
            return Err(WrapError::UnknownImport {
                module: import.module.clone(),
                name: import.name.clone(),
                hint,
            });
        }
    }
    Ok(())
}
