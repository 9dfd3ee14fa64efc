//! `fs.directory`: opened with the host resources of a generation.

use std::path::Path;

use crisol_core::{EntryId, chain};
use crisol_schema::{Directory, Entry, EntryField, Kind, Problems, Registry, Report};
use crisol_wasi::FsError;

use super::slice::{Read, Slice};
use crate::app::HostResources;
use crate::load::field_error::{BAD_FOLDER, FieldError};
use crate::load::loading::{Loaded, Loading};

impl Slice for Directory {
    fn load<'a>(&'a self, _: &'a Entry, _: &Loading<'a>, _: &mut Loaded) -> Result<(), FieldError> {
        Ok(())
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        Vec::new()
    }

    fn is_same(&self, id: &EntryId, before: &HostResources, now: &HostResources) -> bool {
        now.has_folder_of(before, id)
    }

    fn reads<'a>(&'a self, id: &'a EntryId) -> Vec<Read<'a>> {
        vec![Read::Folder(id)]
    }
}

/// Reports folder entries that cannot be opened, each once.
pub(crate) fn report(
    failed: &[(EntryId, FsError)],
    registry: &Registry,
    app: Option<&Path>,
    problems: &mut Problems,
) {
    for (id, error) in failed {
        let help = folder_help(registry, app, id);
        let report = Report::error(BAD_FOLDER, chain(error)).help(help);
        problems.at(registry, id, &EntryField::Directory, report);
    }
}

/// Returns the advice for a folder entry that cannot be opened. Unlike `file://` sources, folders are not relative to
/// their index file.
fn folder_help(registry: &Registry, app: Option<&Path>, id: &EntryId) -> String {
    let Some(Kind::Directory(folder)) = registry.get(id.as_str()).map(|entry| &entry.kind) else {
        return "name another folder".to_owned();
    };
    if !folder.directory.is_inside_app() {
        return "name a folder that exists and can be read".to_owned();
    }
    let place = registry.origin(id).map(|place| place.file).unwrap_or_default();
    let beside =
        Path::new(&place).parent().unwrap_or(Path::new("")).join(folder.directory.as_path());
    let relative = "`directory` is relative to the app's folder";
    match app {
        Some(app) if place.contains('/') && app.join(&beside).is_dir() => {
            format!("{relative}, not to this file: write `./{}`", beside.display())
        }
        _ => format!("{relative}: name a folder in it, or an absolute one"),
    }
}
