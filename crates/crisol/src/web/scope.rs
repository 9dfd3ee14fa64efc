//! Inputs for the assembly of services and routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{EntryField, Kind, Problems, Registry, Report, Transport};
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
    /// Returns the transport of an endpoint's function.
    pub(super) fn transport(&self, func: &EntryId) -> &'a Transport {
        match self.registry.get(func.as_str()).map(|entry| &entry.kind) {
            Some(Kind::Function(function)) => &function.transport,
            // Lua functions have no `transport` field; other kinds cannot be behind an endpoint.
            Some(
                Kind::LuaFunction(_)
                | Kind::Process(_)
                | Kind::Directory(_)
                | Kind::EnvStorage(_)
                | Kind::EnvVariable(_)
                | Kind::HttpService(_)
                | Kind::HttpRouter(_)
                | Kind::HttpEndpoint(_)
                | Kind::HttpStatic(_),
            )
            | None => &Transport::WasiHttp,
        }
    }

    pub(super) fn report(&mut self, id: &EntryId, field: &EntryField, report: Report) {
        self.problems.at(self.registry, id, field, report);
    }
}
