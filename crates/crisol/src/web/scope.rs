//! Inputs for the assembly of services and routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{EntryField, Problems, Registry, Report, Transport};
use crisol_wasi::{EnvSource, FsSource};
use foldhash::fast::RandomState;

use super::handler::HttpHandler;
use crate::call::{Callable, Interceptors};

/// Transports of the embedding program, by name.
pub(crate) type Transports = HashMap<Arc<str>, Arc<dyn crisol_transport::Transport>>;

/// Inputs for the assembly of services and routes, and the list of their problems.
pub(crate) struct Scope<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) folders: &'a dyn FsSource,
    pub(crate) env: Arc<dyn EnvSource>,
    /// Folder entries that cannot be opened, already reported.
    pub(crate) closed: &'a HashSet<EntryId>,
    pub(crate) functions: &'a HashMap<EntryId, Callable, RandomState>,
    pub(crate) handlers: &'a HashMap<EntryId, Arc<HttpHandler>>,
    pub(crate) interceptors: &'a Interceptors,
    pub(crate) transports: &'a Transports,
    pub(crate) problems: Problems,
}

impl<'a> Scope<'a> {
    /// Returns the transport of an endpoint's function; Lua functions have no such field.
    pub(super) fn transport(&self, func: &EntryId) -> &'a Transport {
        let entry = self.registry.get(func.as_str());
        entry.and_then(|entry| entry.kind.transport()).unwrap_or(&Transport::WasiHttp)
    }

    pub(super) fn report(&mut self, id: &EntryId, field: &EntryField, report: Report) {
        self.problems.at(self.registry, id, field, report);
    }
}
