//! Assembly: loads a validated registry into everything that can be called or served. Calls do none of this work.

use std::collections::HashSet;
use std::path::Path;

use crisol_schema::{EntryField, Problems};

use super::code::CompileRequest;
use super::code_store::CodeStore;
use super::field_error::FieldError;
use super::imports::{self, ImportsFix, Linked};
use super::kinds::{self, slice_of};
use super::loading::{Before, Inputs, Loaded, Loading};
use super::{required, reuse};
use crate::app::{Assembled, HostResources};
use crate::call::Interceptors;

/// Loads every entry of a registry. Also returns the changes that make each entry's `imports` match the imports that
/// its method may call.
pub(crate) fn assemble(inputs: Inputs<'_>, app: Option<&Path>) -> (Loaded, Vec<ImportsFix>) {
    let registry = inputs.registry;
    let mut loaded = Loaded::default();
    loaded.assembled.interceptors = Interceptors::new(&inputs.extensions.interceptors);
    let before = inputs.before.map(|generation| generation.resources());
    let (resources, failed) =
        HostResources::open(registry, app, inputs.extensions, before, inputs.missing);
    kinds::report_folders(&failed, registry, app, &mut loaded.problems);
    required::warn(registry, resources.env().as_ref(), &mut loaded.problems);
    let closed: HashSet<_> = failed.into_iter().map(|(id, _)| id).collect();
    let fixes = {
        let binaries = (registry, &inputs.extensions.binaries);
        let code = CodeStore::new(inputs.engine, resources.folders(), binaries);
        let before = inputs.before.map(|generation| Before {
            generation,
            unchanged: reuse::unchanged(generation, registry, &resources),
        });
        let loading = Loading { inputs, resources: &resources, before, code };
        loading.code.prepare(&requests(&loading));
        for entry in registry {
            match slice_of(&entry.kind).load(entry, &loading, &mut loaded) {
                Ok(()) => {}
                // A folder that cannot be opened is reported at its own entry.
                Err(FieldError { folder: Some(id), .. }) if closed.contains(&id) => {}
                Err(error) => error.tell(registry, &entry.id, &mut loaded.problems),
            }
        }
        let Loaded { assembled, problems } = &mut loaded;
        let fixes = compare_imports(&inputs, assembled, problems);
        #[cfg(feature = "http")]
        kinds::serve(&loading, &closed, &mut loaded);
        fixes
    };
    loaded.assembled.resources = resources;
    (loaded, fixes)
}

/// Collects the code to compile: that of all guests except those taken over from the generation before.
fn requests<'a>(loading: &Loading<'a>) -> Vec<CompileRequest<'a>> {
    let inputs = &loading.inputs;
    let guests = inputs.registry.iter().filter_map(|entry| slice_of(&entry.kind).guest(&entry.id));
    guests
        .filter(|guest| loading.reused(guest.id, |_| Some(())).is_none())
        .filter(|guest| inputs.is_linkable(guest.id))
        .map(|guest| inputs.request(&guest))
        .collect()
}

/// Compares the imports of every linked guest with its entry's `imports`, and reports the differences.
fn compare_imports(
    inputs: &Inputs<'_>,
    assembled: &Assembled,
    problems: &mut Problems,
) -> Vec<ImportsFix> {
    let linked = inputs.registry.iter().filter_map(|entry| {
        let guest = slice_of(&entry.kind).guest(&entry.id)?;
        let linkage = assembled.linkage(guest.id)?;
        let is_strict = inputs.is_strict(&guest);
        inputs.is_read(guest.id, &EntryField::Imports).then_some(Linked {
            guest,
            linkage,
            is_strict,
        })
    });
    imports::compare(linked, (inputs.registry, problems))
}
