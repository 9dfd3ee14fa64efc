//! What one generation may take over from the one before: that of which nothing has changed.

use std::collections::HashSet;

use crisol_core::EntryId;
use crisol_schema::{EnvStorage, Kind, Registry, Wasi};

use crate::generation::Generation;
use crate::world::World;

/// A generation seen from the one that is being made after it.
pub(crate) struct Before<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) registry: &'a Registry,
    pub(crate) world: &'a World,
}

impl Before<'_> {
    /// Whether an entry and all that it depends on are as they were.
    pub(crate) fn is_unchanged(&self, id: &EntryId) -> bool {
        let mut seen = HashSet::new();
        // A stack of its own: a chain of routers may be as long as the app.
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            if !self.is_same(id) {
                return false;
            }
            let entry = self.registry.get(id.as_str());
            next.extend(entry.into_iter().flat_map(|entry| depends_on(&entry.kind)));
        }
        true
    }

    /// Whether an entry is the same by itself.
    fn is_same(&self, id: &EntryId) -> bool {
        let (old, new) =
            (self.generation.registry().get(id.as_str()), self.registry.get(id.as_str()));
        if old.is_none() || old != new {
            return false;
        }
        let before = self.generation.world();
        match new.map(|entry| &entry.kind) {
            Some(Kind::Directory(_)) => self.world.has_folder_of(before, id),
            Some(Kind::EnvStorage(EnvStorage::File { path, .. })) => {
                !path.is_inside_app() || self.world.has_root_of(before)
            }
            _ => true,
        }
    }
}

/// The entries that an entry's own things are made of. The folder of a binary is none: its hash says what
/// the binary is.
fn depends_on(kind: &Kind) -> Vec<&EntryId> {
    match kind {
        Kind::Function(function) => of_wasi(&function.wasi),
        Kind::Process(process) => of_wasi(&process.wasi),
        Kind::EnvVariable(variable) => variable.storage.iter().collect(),
        Kind::EnvStorage(EnvStorage::Router { storages }) => storages.iter().collect(),
        _ => Vec::new(),
    }
}

fn of_wasi(wasi: &Wasi) -> Vec<&EntryId> {
    let variables = wasi.env.iter().map(|mapping| &mapping.id);
    variables.chain(wasi.mounts.iter().map(|mount| &mount.fs)).collect()
}
