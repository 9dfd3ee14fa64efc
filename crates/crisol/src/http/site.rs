//! Services and routes of one generation, complete but for the addresses.

use crisol_schema::ListenAddr;
use crisol_server::Service;

/// Services of a generation. It holds functions by id, and nothing of its generation.
#[derive(Default)]
pub(crate) struct Site {
    pub(crate) services: Vec<Declared>,
}

/// A service, complete but for the address that it listens on.
pub(crate) struct Declared {
    /// The address of its entry; none is that of [`ServeOptions::listen`](crate::ServeOptions::listen).
    pub(crate) addr: Option<ListenAddr>,
    /// Its `addr` is filled in when it is served.
    pub(crate) service: Service,
    /// The OpenAPI document of its endpoints; none when it has none.
    pub(crate) document: Option<serde_json::Value>,
}

impl Site {
    /// The OpenAPI documents of services that have endpoints, by the service's name.
    pub(crate) fn documents(&self) -> Vec<(String, serde_json::Value)> {
        let one = |one: &Declared| Some((one.service.name.clone(), one.document.clone()?));
        self.services.iter().filter_map(one).collect()
    }
}
