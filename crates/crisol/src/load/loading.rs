//! State of one load: inputs, host resources, code store, generation before.

use std::collections::HashSet;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_engine::Engine;
#[cfg(feature = "lua")]
use crisol_lua::TurnLimit;
use crisol_schema::{CheckedApp, EntryField, Problems, Registry};
use crisol_wasi::{EnvSource, FsSource, MissingFiles};

use super::code_store::CodeStore;
use super::defaults::Defaults;
use crate::app::{Assembled, Extensions, Generation, HostResources};

/// Inputs of a load.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) registry: &'a Registry,
    pub(crate) defaults: Defaults,
    pub(crate) strict_imports: bool,
    pub(crate) extensions: &'a Extensions,
    /// Bound on concurrently computing scripts.
    #[cfg(feature = "lua")]
    pub(crate) turns: &'a TurnLimit,
    /// Treatment of missing folders and files with `auto_init`.
    pub(crate) missing: MissingFiles,
    /// The generation before, whose unchanged functions are taken over.
    pub(crate) before: Option<&'a Generation>,
    /// Result of checking an app with errors: it tells which fields could be read. Such a load only collects problems.
    pub(crate) checked: Option<&'a CheckedApp>,
}

impl Inputs<'_> {
    /// Tells whether a field was read correctly.
    pub(crate) fn is_read(&self, id: &EntryId, field: &EntryField) -> bool {
        self.checked.is_none_or(|checked| checked.is_read(id, field))
    }

    /// Tells whether all fields that linking an entry's code needs were read correctly.
    pub(crate) fn is_linkable(&self, id: &EntryId) -> bool {
        let fields = [EntryField::Method, EntryField::Wit, EntryField::Transport];
        fields.iter().all(|field| self.is_read(id, field))
    }
}

/// The generation before, with the entries that have not changed since.
pub(crate) struct Before<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) unchanged: HashSet<EntryId>,
}

/// A load in progress.
pub(crate) struct Loading<'a> {
    pub(crate) inputs: Inputs<'a>,
    pub(crate) resources: &'a HostResources,
    pub(crate) before: Option<Before<'a>>,
    pub(crate) code: CodeStore<'a>,
}

/// Result of a load. With an error among the problems, the assembled app is incomplete and must not be served.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) assembled: Assembled,
    pub(crate) problems: Problems,
}

impl<'a> Loading<'a> {
    pub(crate) fn folders(&self) -> &'a dyn FsSource {
        self.resources.folders()
    }

    pub(crate) fn env(&self) -> Arc<dyn EnvSource> {
        self.resources.env()
    }

    /// Returns what `find` takes from the generation before, if the entry has not changed since.
    pub(crate) fn reused<T>(
        &self,
        id: &EntryId,
        find: impl FnOnce(&'a Generation) -> Option<T>,
    ) -> Option<T> {
        let before = self.before.as_ref()?;
        find(before.generation).filter(|_| before.unchanged.contains(id))
    }
}
