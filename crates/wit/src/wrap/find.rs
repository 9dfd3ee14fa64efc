//! Search of exports by any spelling of their names, with the error for a missing one.

use wasmparser::ExternalKind;

use super::WrapError;
use super::module::{CoreSignature, Outside};
use crisol_core::suggest::{nearest, spelling_key};

/// Finds the one export with the name `name` or a spelling of it; `None` when there is none.
pub(super) fn find<'o>(
    outside: &'o Outside,
    names: &[String],
) -> Result<Option<&'o str>, WrapError> {
    for name in names {
        if let Some((export, _)) = outside.function(name) {
            return Ok(Some(&export.name));
        }
    }
    for name in names {
        let spelled = spelling_key(name);
        let same = |export: &str| !export.starts_with("cabi_") && spelling_key(export) == spelled;
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

/// Error for a function without an export.
pub(super) fn missing(outside: &Outside, wanted: String, name: &str) -> WrapError {
    let names: Vec<String> = outside.functions().map(|(export, _)| export.name.clone()).collect();
    let other = outside.exports.iter().find(|export| export.ty.is_none() && export.name == name);
    if let Some(other) = other {
        let hint = format!("its export `{name}` is a {}", kind(other.kind));
        return WrapError::MissingFunction { wanted, hint };
    }
    if names.iter().all(|name| is_of_the_abi(name)) {
        return WrapError::NothingExported { wanted };
    }
    let hint = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? {}", listed(outside)),
        None => listed(outside),
    };
    WrapError::MissingFunction { wanted, hint }
}

/// Returns true if an export is part of the canonical ABI, not a function of the module's author.
fn is_of_the_abi(name: &str) -> bool {
    name.starts_with("cabi_") || name.starts_with("cm32p2")
}

fn kind(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "function",
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    }
}

/// Exports for a message: all functions of the module's author, with their core types.
fn listed(outside: &Outside) -> String {
    let list: Vec<String> = outside
        .functions()
        .filter(|(export, _)| !is_of_the_abi(&export.name))
        .map(|(export, ty)| {
            format!("`{}` {}", export.name, CoreSignature(ty.params(), ty.results()))
        })
        .collect();
    match list.len() {
        0..=12 => format!("it exports {}", list.join(", ")),
        more => {
            let shown = list.get(..12).unwrap_or_default().join(", ");
            format!("it exports {shown} and {} more", more - 12)
        }
    }
}
