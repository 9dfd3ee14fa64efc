//! Core modules that run without a component around them: their imports, served or stubbed, and the called export.
//!
//! WASI preview 1 is granted by the corresponding interfaces of WASI 0.2, so grants are written the same for both
//! kinds of code ([`preview1`]).

mod assemblyscript;
mod call;
mod memory;
mod preview1;
mod raw;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crisol_wit::{Convention, CoreFunction, CoreModule, UnknownFunction};
use wasmparser::ValType as Parsed;
use wasmtime::{
    Caller, Engine, ExternType, FuncType, InstancePre, Linker, Module, ModuleExport, ValType,
};

use crate::denied::Denial;
use crate::exports::{Export, ExportName, Exports};
use crate::host::Host;
use crate::imports::{CoreImport, Grants, Import};
use crate::link_error::LinkError;
use crate::variant::EngineVariant;

pub(crate) use call::{Callee, initialize};
pub(crate) use preview1::has_folders;

use raw::Slots;

/// The exported memory for values of the canonical ABI.
const MEMORY: &str = "memory";

/// Import module that AssemblyScript and Emscripten use even in modules that need no other JavaScript.
const ENV: &str = "env";

/// Exports of a module that calls of one function need, by name.
pub(crate) struct CoreExports {
    function: String,
    post_return: Option<String>,
    initialize: Option<String>,
    allocate: Option<String>,
    convention: Convention,
}

impl CoreExports {
    pub(crate) fn new(core: &CoreModule, function: &CoreFunction) -> Self {
        let own = |name: &str| name.to_owned();
        Self {
            function: function.export.clone(),
            post_return: function.post_return.clone(),
            initialize: core.initialize().filter(|name| *name != function.export).map(own),
            allocate: core.allocate().map(own),
            convention: function.convention,
        }
    }

    /// Looks up the exports in a module.
    pub(crate) fn resolve(&self, module: &Module) -> Result<CoreCalleePre, LinkError> {
        let index = |name: &str| module.get_export_index(name);
        let export = index(&self.function)
            .ok_or_else(|| mismatch("an export is missing from the machine code"))?;
        let Some(ExternType::Func(ty)) = module.get_export(&self.function) else {
            return Err(mismatch("an export is not a function"));
        };
        let is_realloc = |export: &&str| match module.get_export(export) {
            Some(ExternType::Func(ty)) => {
                let is_i32 = |ty: ValType| matches!(ty, ValType::I32);
                let (params, results) = (ty.params().len(), ty.results().len());
                (params, results) == (4, 1) && ty.params().all(is_i32) && ty.results().all(is_i32)
            }
            _ => false,
        };
        let realloc = self.allocate.as_deref().filter(is_realloc);
        let of_numbers = |name: &str| Some((index(name)?, slots_of(module, name)?));
        Ok(CoreCalleePre {
            export,
            params: ty.params().collect(),
            memory: index(MEMORY),
            realloc: realloc.and_then(of_numbers),
            slots: Slots::of(&ty),
            post_return: self.post_return.as_deref().and_then(of_numbers),
            initialize: self.initialize.as_deref().and_then(index),
            convention: self.convention,
            results: ty.results().collect(),
        })
    }
}

/// Callee of a module, resolved before instantiation.
pub(crate) struct CoreCalleePre {
    export: ModuleExport,
    /// The function that frees the result.
    post_return: Option<(ModuleExport, Slots)>,
    initialize: Option<ModuleExport>,
    convention: Convention,
    /// Core types of its parameters.
    params: Vec<ValType>,
    results: Vec<ValType>,
    memory: Option<ModuleExport>,
    /// The guest's allocator, if arguments are lowered into its memory.
    realloc: Option<(ModuleExport, Slots)>,
    /// Slots of the function, if it has only numbers as parameters and results.
    slots: Option<Slots>,
}

/// Builds a linker with all host functions for core modules.
fn full_linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    preview1::add_to_linker(&mut linker)?;
    assemblyscript::add_to_linker(&mut linker)?;
    // The host needs no notice of memory growth.
    linker.func_wrap(ENV, "emscripten_notify_memory_growth", |_: i32| {})?;
    Ok(linker)
}

/// The linker of `variant`, built when its first module is linked.
fn linker(variant: &EngineVariant) -> wasmtime::Result<Linker<Host>> {
    if let Some(linker) = variant.core.get() {
        return Ok(linker.clone());
    }
    let linker = full_linker(&variant.engine)?;
    Ok(variant.core.get_or_init(|| linker).clone())
}

/// Returns true if the host has a function.
fn provides(module: &str, name: &str, ty: &FuncType) -> bool {
    match module {
        preview1::MODULE => preview1::has(name),
        ENV => crisol_wit::env_function(name)
            .is_some_and(|types| ty.params().map(|ty| parser_type(&ty)).eq(types.iter().copied())),
        _ => false,
    }
}

/// Lists the imports of a module and which of them are in `grants`.
pub(crate) fn imports(module: &Module, grants: &Grants) -> Vec<Import> {
    let (mut imports, mut unknown) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    let mut known = Vec::new();
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else { continue };
        let (of, name) = (import.module(), import.name());
        if of == preview1::MODULE && preview1::has(name) {
            known.push((name, ty));
        } else if !provides(of, name, &ty) {
            unknown.entry(of).or_default().push((name, ty));
        }
    }
    let (without_memory, known): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|(name, _)| lacks_memory(module, preview1::MODULE, name));
    let known: Vec<_> = known.into_iter().map(|(name, _)| name).collect();
    imports.extend(preview1::imports(&known, grants));
    if !without_memory.is_empty() {
        let told = Some(UnknownFunction::WITHOUT_MEMORY);
        imports.push(missing_import(preview1::MODULE, &without_memory, told));
    }
    for (of, functions) in unknown {
        let told = functions.iter().map(|(name, ty)| unknown_function(of, name, ty)).min();
        imports.push(missing_import(of, &functions, told));
    }
    imports
}

/// Import entry for functions of one import module that fail every call.
fn missing_import(
    of: &str,
    functions: &[(&str, FuncType)],
    unknown: Option<UnknownFunction>,
) -> Import {
    let names: Vec<String> = functions.iter().map(|(name, _)| (*name).to_owned()).collect();
    Import {
        name: of.to_owned(),
        interface: None,
        granted: false,
        denied: Vec::new(),
        missing: names.clone(),
        core: Some(CoreImport { functions: names, unknown }),
    }
}

/// Returns true if a function passes values through memory and the module exports no memory.
fn lacks_memory(module: &Module, of: &str, name: &str) -> bool {
    let exports = || matches!(module.get_export(MEMORY), Some(ExternType::Memory(_)));
    of == preview1::MODULE && preview1::needs_memory(name) && !exports()
}

/// Resolves the imports of a module. Functions that are not granted or not provided fail the call that uses them.
pub(crate) fn instantiate_pre(
    variant: &EngineVariant,
    module: &Module,
    grants: &Grants,
) -> Result<(InstancePre<Host>, Vec<Import>), LinkError> {
    let mut linker = linker(variant).map_err(LinkError::Mismatch)?;
    linker.allow_shadowing(true);
    preview1::restrict(&mut linker, grants).map_err(LinkError::Mismatch)?;
    for import in module.imports() {
        let (of, name) = (import.module(), import.name());
        match import.ty() {
            ExternType::Func(ty) if lacks_memory(module, of, name) => {
                let error = NoMemory { function: name.to_owned() };
                fail(&mut linker, (of, name), ty, error).map_err(LinkError::Mismatch)?;
            }
            ExternType::Func(ty) => {
                let denial = match provides(of, name, &ty) {
                    true if of == preview1::MODULE => preview1::denied(name, grants),
                    true => None,
                    false => Some(missing_function(of, name, &ty)),
                };
                let Some(denial) = denial else { continue };
                fail(&mut linker, (of, name), ty, denial).map_err(LinkError::Mismatch)?;
            }
            other => {
                let (module, name) = (of.to_owned(), name.to_owned());
                return Err(LinkError::CoreImport { module, name, what: kind(&other) });
            }
        }
    }
    let pre = linker.instantiate_pre(module).map_err(LinkError::Mismatch)?;
    Ok((pre, imports(module, grants)))
}

/// Defines a function that fails the call.
fn fail(
    linker: &mut Linker<Host>,
    (of, name): (&str, &str),
    ty: FuncType,
    error: impl std::error::Error + Clone + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let fail =
        move |_: Caller<'_, Host>, _: &[_], _: &mut [_]| Err(wasmtime::Error::new(error.clone()));
    linker.func_new(of, name, ty, fail).map(drop)
}

fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Memory(_) => "a memory",
        ExternType::Table(_) => "a table",
        ExternType::Global(_) => "a global",
        ExternType::Tag(_) => "a tag",
        ExternType::Func(_) => "a function",
    }
}

/// Call of a function that passes values through memory, from a module that exports no memory.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the module calls `{function}` of WASI preview 1, which passes values through memory: export its memory as `memory`"
)]
struct NoMemory {
    function: String,
}

/// The denial of a function that the host does not provide.
fn missing_function(module: &str, name: &str, ty: &FuncType) -> Denial {
    let UnknownFunction { what, fix, .. } = unknown_function(module, name, ty);
    Denial {
        interface: module.to_owned(),
        function: name.to_owned(),
        offered: false,
        grant: None,
        reason: Some(format!("nothing provides this `{}`: {what}; {fix}", format_type(ty))),
    }
}

fn unknown_function(module: &str, name: &str, ty: &FuncType) -> UnknownFunction {
    let types = |types: &mut dyn Iterator<Item = ValType>| {
        types.map(|ty| parser_type(&ty)).collect::<Vec<_>>()
    };
    let (params, results) = (types(&mut ty.params()), types(&mut ty.results()));
    UnknownFunction::of(module, name, &wasmparser::FuncType::new(params, results))
}

/// Converts a value type for the lookup of known functions; references are not distinguished.
fn parser_type(ty: &ValType) -> Parsed {
    match ty {
        ValType::I32 => Parsed::I32,
        ValType::I64 => Parsed::I64,
        ValType::F32 => Parsed::F32,
        ValType::F64 => Parsed::F64,
        ValType::V128 => Parsed::V128,
        ValType::Ref(_) => Parsed::EXTERNREF,
    }
}

/// Formats a type, such as `(i32, i64) -> i32`.
fn format_type(ty: &FuncType) -> String {
    let list = |types: &mut dyn Iterator<Item = ValType>| {
        types.map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ")
    };
    let params = list(&mut ty.params());
    match ty.results().len() {
        0 => format!("({params})"),
        1 => format!("({params}) -> {}", list(&mut ty.results())),
        _ => format!("({params}) -> ({})", list(&mut ty.results())),
    }
}

/// Lists all exported functions of a module with their core types.
pub(crate) fn exports(module: &Module) -> Vec<Export> {
    let functions = module.exports().filter_map(|export| {
        let ExternType::Func(ty) = export.ty() else { return None };
        let (name, signature) = (export.name().to_owned(), format_type(&ty));
        Some(Export { interface: None, name, signature })
    });
    functions.collect()
}

/// Resolves `method` to a function of the module.
pub(crate) fn find<'c>(core: &'c CoreModule, method: &str) -> Result<&'c CoreFunction, LinkError> {
    if let Some(found) = core.found() {
        return Ok(found);
    }
    let functions = core.functions();
    let places: Vec<ExportName> = functions.iter().map(place).collect();
    let signature = |at: usize| {
        let signature = functions.get(at).map(|function| core.signature(function));
        signature.and_then(Result::ok).map_or_else(|| "func(…)".to_owned(), |it| it.to_string())
    };
    let found = Exports::find_among(method, &places, signature)?;
    let at = places.iter().position(|place| std::ptr::eq(place, found));
    at.and_then(|at| functions.get(at))
        .ok_or_else(|| mismatch("an export is missing from the machine code"))
}

/// The location of its export.
pub(crate) fn place(function: &CoreFunction) -> ExportName {
    ExportName { interface: function.interface.clone(), name: function.name.clone() }
}

/// The slots of an export that is a function of numbers.
fn slots_of(module: &Module, name: &str) -> Option<Slots> {
    match module.get_export(name)? {
        ExternType::Func(ty) => Slots::of(&ty),
        _ => None,
    }
}

fn mismatch(what: &'static str) -> LinkError {
    LinkError::Mismatch(wasmtime::Error::msg(what))
}

/// A host interface of WASI, by its name without version.
fn interface(name: &'static str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(name))
}
