//! WIT of a module that comes without: what the core types of its exports say.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use wasmparser::{FuncType, ValType};

use super::module::{Export, Outside};
use super::{MAX_FLAT_PARAMS, WrapError};
use crate::names::kebab;
use crate::wrap::matching::{find, missing};

/// Exports that are declared together at most: of a module with more, each is declared alone, because
/// whoever calls one function should not have to wait for a thousand.
const MOST_TOGETHER: usize = 256;

/// How names begin that toolchains export for the host to find, under just that name.
const FOR_THE_HOST: [&str; 4] = ["_", "cabi_", "canonical_abi_", "cm32p2"];

/// The exports behind the functions of a derived WIT, by their WIT names. Two exports may fold to one name,
/// so nothing is to be looked for by it again.
pub(super) type Chosen<'m> = HashMap<String, &'m str>;

/// WIT for the export `method`, and for all others that can be called too: then every method of a module
/// gives the same component, which is compiled once.
pub(super) fn derive<'m>(
    outside: &'m Outside,
    method: &str,
    command: bool,
) -> Result<(String, Chosen<'m>), WrapError> {
    let is_run = matches!(kebab(method).as_str(), "run" | "start")
        || (method.contains("wasi:cli/run") && method.ends_with("run"));
    if command && is_run {
        return Ok(("package crisol:guest; world crisol-guest {}".to_owned(), Chosen::new()));
    }
    let found = find(outside, &[method.to_owned()])?;
    let Some((export, ty)) = found.and_then(|name| outside.function(name)) else {
        return Err(missing(outside, format!("a function `{method}`"), method));
    };
    let (name, signature) = declared(export, ty)?;
    let mut all = together(outside);
    if all.get(&name).is_none_or(|(own, _)| *own != export.name) {
        all = BTreeMap::from([(name, (export.name.as_str(), signature))]);
    }
    let mut text = String::new();
    for (name, (_, signature)) in &all {
        // Writing to a string does not fail.
        let _ = writeln!(text, "%{name}: {signature};");
    }
    Ok((text, all.into_iter().map(|(name, (export, _))| (name, export)).collect()))
}

/// Every export that can be declared beside all others: WIT name, export and signature. None when they are
/// too many.
fn together(outside: &Outside) -> BTreeMap<String, (&str, String)> {
    let mut all = BTreeMap::new();
    for (export, ty) in outside.functions() {
        if FOR_THE_HOST.iter().any(|prefix| export.name.starts_with(prefix)) {
            continue;
        }
        let Ok((name, signature)) = declared(export, ty) else { continue };
        // Of two exports with one WIT name the first is there.
        all.entry(name).or_insert((export.name.as_str(), signature));
        if all.len() > MOST_TOGETHER {
            return BTreeMap::new();
        }
    }
    all
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
