//! Checks that a module has the core types, memory and allocator that its WIT needs.

use wasmparser::{FuncType, ValType};
use wit_parser::Resolve;
use wit_parser::abi::{AbiVariant, WasmType};

use super::WrapError;
use super::module::{CoreSignature, Outside};
use super::wit::{self, Target};

/// Checks that an export has the core type of its WIT, and that the module has the exports that this type needs.
pub(super) fn check_type(
    outside: &Outside,
    resolve: &Resolve,
    target: &Target<'_>,
    export: &str,
) -> Result<(), WrapError> {
    let func = target.func;
    let abi = resolve.wasm_signature(AbiVariant::GuestExport, func);
    let params: Vec<ValType> = abi.params.iter().copied().map(core_type).collect();
    let results: Vec<ValType> = abi.results.iter().copied().map(core_type).collect();
    let takes = func.params.iter().any(|param| wit::has_pointers(resolve, &param.ty));
    let gives = func.result.iter().any(|ty| wit::has_pointers(resolve, ty));
    let why = match (takes, abi.indirect_params, gives, abi.retptr) {
        (true, ..) => Some("takes strings or lists"),
        (_, true, ..) => Some("takes more than 16 core values"),
        (_, _, true, _) => Some("gives strings or lists"),
        (_, _, _, true) => Some("gives more than one core value"),
        _ => None,
    };
    if let (Some(why), true) = (why, outside.has_wide_memory) {
        return Err(WrapError::WideMemory { function: func.name.clone(), why });
    }
    let found: Option<&FuncType> = outside.function(export).map(|(_, ty)| ty);
    if let Some(found) = found
        && (found.params() != params || found.results() != results)
    {
        return Err(WrapError::CoreType {
            export: export.to_owned(),
            found: CoreSignature(found.params(), found.results()).to_string(),
            wit: shown(resolve, func),
            expected: CoreSignature(&params, &results).to_string(),
        });
    }
    let Some(why) = why else { return Ok(()) };
    let missing =
        |why, export| WrapError::MissingSupport { function: func.name.clone(), why, export };
    if !outside.has_memory() {
        return Err(missing(why, "its memory as `memory`"));
    }
    if (takes || abi.indirect_params) && !outside.has_realloc() {
        let export = "`cabi_realloc` (i32, i32, i32, i32) -> i32, which allocates: \
                      (old pointer, old size, alignment, new size) -> pointer";
        return Err(missing(why, export));
    }
    if takes || abi.indirect_params {
        check_realloc(outside, (&func.name, why))?;
    }
    Ok(())
}

/// Checks the type of the export that allocates for arguments.
fn check_realloc(
    outside: &Outside,
    (function, why): (&str, &'static str),
) -> Result<(), WrapError> {
    let Some((export, found)) = outside.realloc().and_then(|name| outside.function(name)) else {
        return Ok(());
    };
    let (params, results) = ([ValType::I32; 4], [ValType::I32]);
    if found.params() == params && found.results() == results {
        return Ok(());
    }
    Err(WrapError::Realloc {
        function: function.to_owned(),
        why,
        export: export.name.clone(),
        found: CoreSignature(found.params(), found.results()).to_string(),
    })
}

fn core_type(ty: WasmType) -> ValType {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}

/// Function for a message: `add-two: func(a: s32, b: s32) -> s32`, types shortened to their names.
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
