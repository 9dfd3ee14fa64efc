//! WIT of a module without any, derived from the core types of its exports.

use std::collections::{BTreeMap, HashSet};

use wasmparser::{FuncType, ValType};

use super::find::{find, missing};
use super::module::{Export, Outside};
use super::{MAX_FLAT_PARAMS, WrapError};
use crisol_core::suggest::kebab;

/// Most exports declared together, and most bytes of their declarations. In a module with more, each export is declared
/// alone, so that a caller of one does not wait for a thousand.
const MOST_TOGETHER: usize = 256;
const LONGEST_TOGETHER: usize = 64 << 10;

/// Prefixes of names that toolchains export for the host to find by that exact name.
const FOR_THE_HOST: [&str; 4] = ["_", "cabi_", "canonical_abi_", STANDARD];

/// Prefix of names in the encoder's other scheme; derived names must not look like these.
pub(super) const STANDARD: &str = "cm32p2";

/// Functions of a WIT derived from exports.
pub(super) struct Derived<'m> {
    /// WIT name → export and signature. The name alone does not identify the export: two may fold to the same.
    functions: BTreeMap<String, (&'m str, String)>,
}

impl<'m> Derived<'m> {
    /// Declares the export `method` alone; none for the entry point of a command, which needs no declaration.
    pub(super) fn alone(outside: &'m Outside, method: &str) -> Result<Self, WrapError> {
        let is_run = matches!(method, "run" | "_start")
            || (method.contains("wasi:cli/run") && method.ends_with("run"));
        if outside.is_command() && is_run {
            return Ok(Self { functions: BTreeMap::new() });
        }
        let found = find(outside, &[method.to_owned()])?;
        let Some((export, ty)) = found.and_then(|name| outside.function(name)) else {
            return Err(missing(outside, format!("a function `{method}`"), method));
        };
        let (name, signature) = declared(export, ty)?;
        Ok(Self { functions: BTreeMap::from([(name, (&*export.name, signature))]) })
    }

    /// Declares every export that can be declared beside the others, independent of the method, so that all methods
    /// share one component, compiled once. `None` when there are too many.
    pub(super) fn together(outside: &'m Outside) -> Option<Self> {
        let posts =
            outside.functions().filter_map(|(export, _)| export.name.strip_prefix("cabi_post_"));
        // Names of exports other than functions, and of functions with a post-return, which may be wrong in a function
        // that is never called.
        let others = outside.exports.iter().filter(|export| export.ty.is_none());
        let taken: HashSet<String> =
            posts.map(kebab).chain(others.map(|export| export.name.clone())).collect();
        let (mut functions, mut bytes) = (BTreeMap::new(), 0);
        for (export, ty) in outside.functions() {
            let Ok((name, signature)) = declared(export, ty) else { continue };
            let is_for_the_host = FOR_THE_HOST.iter().any(|start| export.name.starts_with(start));
            if is_for_the_host || name.starts_with(STANDARD) || taken.contains(&name) {
                continue;
            }
            bytes += name.len() + signature.len();
            // Of two exports with one WIT name, the first is declared.
            functions.entry(name).or_insert((&*export.name, signature));
            if functions.len() > MOST_TOGETHER || bytes > LONGEST_TOGETHER {
                return None;
            }
        }
        Some(Self { functions })
    }

    /// Returns true if all exports of `other` are among these, under the same names.
    pub(super) fn covers(&self, other: &Self) -> bool {
        !other.functions.is_empty()
            && other.functions.iter().all(|(name, (export, _))| self.export(name) == Some(*export))
    }

    /// Export of a WIT name.
    pub(super) fn export(&self, name: &str) -> Option<&'m str> {
        self.functions.get(name).map(|(export, _)| *export)
    }

    /// WIT name of the first function; after [`Derived::alone`] it is the only one.
    pub(super) fn only(&self) -> Option<&str> {
        self.functions.keys().next().map(String::as_str)
    }

    pub(super) fn text(&self) -> String {
        if self.functions.is_empty() {
            return "package crisol:guest; world crisol-guest {}".to_owned();
        }
        let declaration =
            |(name, (_, signature)): (&String, &(&str, String))| format!("%{name}: {signature};\n");
        self.functions.iter().map(declaration).collect()
    }
}

/// Checks that an export takes and returns only numbers.
pub(super) fn check(export: &str, ty: &FuncType) -> Result<(), WrapError> {
    let no_type = |what: String| WrapError::NoWitType { export: export.to_owned(), what };
    let unknown = |types: &[ValType]| types.iter().position(|core| wit_type(*core).is_none());
    if let Some(at) = unknown(ty.params()) {
        return Err(no_type(format!("takes {} as parameter {}", ty.params()[at], at + 1)));
    }
    if let Some(at) = unknown(ty.results()) {
        return Err(no_type(format!("gives {}", ty.results()[at])));
    }
    Ok(())
}

/// WIT name and type of an export.
fn declared(export: &Export, ty: &FuncType) -> Result<(String, String), WrapError> {
    let no_type = |what: String| WrapError::NoWitType { export: export.name.clone(), what };
    if ty.params().len() > MAX_FLAT_PARAMS {
        let (export, found) = (export.name.clone(), ty.params().len());
        return Err(WrapError::TooManyParams { export, found });
    }
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
    Ok((name, format!("func({}){result}", params.join(", "))))
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
