//! Services and routes of one generation, complete except for resolved addresses.

use crisol_schema::ListenAddr;
use crisol_server::Service;

/// Services of a generation. Their routes refer to functions by id, and do not keep the generation alive.
#[derive(Default)]
pub(crate) struct Site {
    pub(crate) services: Vec<Declared>,
}

/// A service, complete except for the resolved address.
pub(crate) struct Declared {
    /// Listen address of its entry; none means [`ServeOptions::listen`](crate::ServeOptions::listen).
    pub(crate) addr: Option<ListenAddr>,
    /// The service; serving fills in its `addr`.
    pub(crate) service: Service,
    /// The OpenAPI document of its endpoints; none without endpoints.
    pub(crate) document: Option<serde_json::Value>,
}

impl Site {
    /// Returns the OpenAPI documents of services with endpoints, with the service's name.
    pub(crate) fn documents(&self) -> Vec<(String, serde_json::Value)> {
        let one = |one: &Declared| Some((one.service.name.clone(), one.document.clone()?));
        self.services.iter().filter_map(one).collect()
    }
}
