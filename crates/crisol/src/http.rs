//! HTTP from the registry: services, routers, endpoints and files as what `crisol-server` serves.
//!
//! What can be wrong is found when an app loads; what is left for the moment of serving is to find out
//! addresses and to listen.

mod files;
mod lent;
mod middleware;
mod openapi;
mod pem;
mod proxy;
mod routes;
mod serve;
mod services;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{ListenAddr, Problems};
use crisol_server::Service;

use crate::assemble::Assembled;

pub use serve::{Listening, ServeError, ServeOptions, Serving};

pub(crate) use proxy::Proxy;
pub(crate) use services::assemble;

/// What a generation serves over HTTP. It holds functions by id, and nothing of its generation.
#[derive(Default)]
pub(crate) struct Site {
    services: Vec<Declared>,
}

/// A service, complete but for the address that it listens on.
struct Declared {
    /// Where its entry says; none is what [`ServeOptions::listen`] says.
    addr: Option<ListenAddr>,
    /// Its `addr` is filled in when it is served.
    service: Service,
    /// What OpenAPI says of its endpoints; none when it has none.
    document: Option<serde_json::Value>,
}

impl Site {
    /// The OpenAPI documents of services that have endpoints, by the service's name.
    pub(crate) fn documents(&self) -> Vec<(String, serde_json::Value)> {
        let one = |one: &Declared| Some((one.service.name.clone(), one.document.clone()?));
        self.services.iter().filter_map(one).collect()
    }
}

/// Transports of the program, by name.
pub(crate) type Transports = HashMap<Arc<str>, Arc<dyn crisol_transport::Transport>>;

/// What HTTP is assembled from, beside functions.
pub(crate) struct Source<'a> {
    pub(crate) registry: &'a crisol_schema::Registry,
    pub(crate) folders: &'a dyn crisol_wasi::FsSource,
    pub(crate) env: Arc<dyn crisol_wasi::EnvSource>,
    /// Folder entries that cannot be opened, which was told already.
    pub(crate) closed: &'a HashSet<EntryId>,
    pub(crate) transports: &'a Transports,
    /// Whether all entries that have to do with HTTP are as they are meant: what they are to one another is
    /// looked at then alone.
    pub(crate) is_whole: bool,
}

/// What HTTP is assembled from, and where problems go.
struct Scope<'a> {
    registry: &'a crisol_schema::Registry,
    folders: &'a dyn crisol_wasi::FsSource,
    env: Arc<dyn crisol_wasi::EnvSource>,
    closed: &'a HashSet<EntryId>,
    assembled: &'a Assembled,
    transports: &'a Transports,
    problems: Problems,
}

impl Scope<'_> {
    fn report(&mut self, id: &EntryId, field: &str, report: crisol_schema::Report) {
        self.problems.at(self.registry, id, field, report);
    }
}
