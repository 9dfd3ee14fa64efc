//! Warnings for required variables that only the process environment can provide and that are not set in it.

use std::collections::HashSet;

use crisol_core::EntryId;
use crisol_schema::{EntryField, EnvStorage, EnvVariable, Kind, Problems, Registry, Report, Rule};
use crisol_wasi::EnvSource;

use super::kinds::slice_of;

/// A required variable without a value.
const NOT_SET: Rule = Rule::new("not-set");

/// Warns of functions and commands whose calls would fail for lack of a variable. Only the environment counts: values
/// in memory and files may still be set before a call.
pub(crate) fn warn(registry: &Registry, env: &dyn EnvSource, problems: &mut Problems) {
    for entry in registry {
        let Some(guest) = slice_of(&entry.kind).guest(&entry.id) else { continue };
        let required = guest.wasi.env.iter().enumerate().filter(|(_, mapping)| mapping.required);
        for (at, mapping) in required {
            let Some(name) = in_environment(registry, &mapping.id) else { continue };
            if !matches!(env.value(&mapping.id), Ok(None)) {
                continue;
            }
            let message = format!("`{name}` is not set, and every call of `{}` needs it", entry.id);
            let help = format!("set {}", env.place(&mapping.id));
            let report = Report::warning(NOT_SET, message).help(help);
            problems.at(registry, &entry.id, &EntryField::WasiEnv(at), report);
        }
    }
}

/// Returns the name of a variable that only the process environment can provide.
fn in_environment<'r>(registry: &'r Registry, id: &EntryId) -> Option<&'r str> {
    let Kind::EnvVariable(EnvVariable { storage: Some(storage), variable, default: None, .. }) =
        &registry.get(id.as_str())?.kind
    else {
        return None;
    };
    let (mut has_os, mut seen, mut next) = (false, HashSet::new(), vec![storage]);
    // An explicit stack: a chain of routers may be as long as the app.
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Kind::EnvStorage(storage) = &registry.get(id.as_str())?.kind else { return None };
        match storage {
            EnvStorage::Os => has_os = true,
            EnvStorage::Static { .. } => {}
            EnvStorage::Router { storages } => next.extend(storages),
            EnvStorage::Memory | EnvStorage::File { .. } => return None,
        }
    }
    has_os.then(|| variable.as_str())
}
