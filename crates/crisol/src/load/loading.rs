//! The state of one load: inputs, host resources, the code store, the generation before.

use std::collections::HashSet;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_engine::Engine;
use crisol_lua::Turns;
use crisol_schema::{Checked, Problems, Registry};
use crisol_wasi::{EnvSource, FsSource, Missing};

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
    /// Bound on the scripts that compute at one moment.
    pub(crate) turns: &'a Turns,
    /// Treatment of folders and files with `auto_init` that are not there.
    pub(crate) missing: Missing,
    /// The generation whose functions are taken over where nothing has changed.
    pub(crate) before: Option<&'a Generation>,
    /// The fields that say what the app says, when it has errors: then this is for the problems alone.
    pub(crate) checked: Option<&'a Checked>,
}

impl Inputs<'_> {
    /// Whether a field says what the app says.
    pub(crate) fn is_read(&self, id: &EntryId, field: &str) -> bool {
        self.checked.is_none_or(|checked| checked.is_read(id, field))
    }

    /// Whether all fields are known that linking the code of an entry takes.
    pub(crate) fn is_linkable(&self, id: &EntryId) -> bool {
        ["method", "wit", "transport"].iter().all(|field| self.is_read(id, field))
    }
}

/// The generation before, with the entries that are as they were in it.
pub(crate) struct Before<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) unchanged: HashSet<EntryId>,
}

/// A load under way.
pub(crate) struct Loading<'a> {
    pub(crate) inputs: Inputs<'a>,
    pub(crate) resources: &'a HostResources,
    pub(crate) before: Option<Before<'a>>,
    pub(crate) code: CodeStore<'a>,
}

/// Outcome of a load: when a problem is an error, the rest is not whole and is not to be served.
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

    /// The callee that an entry had before, when nothing about it has changed.
    pub(crate) fn kept<T>(
        &self,
        id: &EntryId,
        find: impl FnOnce(&'a Generation) -> Option<T>,
    ) -> Option<T> {
        let before = self.before.as_ref()?;
        find(before.generation).filter(|_| before.unchanged.contains(id))
    }
}
