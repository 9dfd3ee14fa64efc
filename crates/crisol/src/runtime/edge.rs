//! The edge trait: an entry point to an app that its entries configure, such as HTTP.
//!
//! Serving an app serves all its edges; a change is prepared on every edge before it is committed on any.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crisol_schema::ListenAddr;
use crisol_server::{Address, StartError, Stopped};

use crate::app::Generation;

/// An entry point to an app. It calls functions only through the generation that it serves.
#[async_trait]
pub(super) trait Edge: Send + Sync {
    /// Prepares to serve a generation: does every step that can fail, and changes nothing yet. Call it within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Fails if the generation cannot be served; the edge continues to serve the one before.
    async fn prepare<'a>(
        &'a mut self,
        generation: &Arc<Generation>,
        options: &ServeOptions,
    ) -> Result<Box<dyn Prepared + 'a>, ServeError>;

    /// Addresses that the edge listens on.
    fn listening(&self) -> Vec<Listening>;

    /// Asks clients to go elsewhere, and continues to serve.
    fn drain(&self);

    /// Stops accepting requests, lets running ones finish within `grace`, and aborts the rest.
    async fn stop(self: Box<Self>, grace: Duration) -> Stopped;
}

/// A generation that an edge is ready to serve. Dropping it discards it.
pub(super) trait Prepared: Send {
    /// Tells whether the generation has nothing to serve on this edge.
    fn is_empty(&self) -> bool;

    /// Serves the generation. Requests of services that are gone may finish within `grace`.
    fn commit(self: Box<Self>, grace: Duration);
}

/// Options of serving an app.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Listen address of the implicit service (default `127.0.0.1:8080`), or of the only `http.service` in place of its
    /// `addr`. With several services it is an error.
    pub listen: Option<ListenAddr>,
}

impl ServeOptions {
    /// Returns the options with another listen address.
    #[must_use]
    pub fn with_listen(self, addr: Option<ListenAddr>) -> Self {
        Self { listen: addr, ..self }
    }
}

/// Error of an app that is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Nothing in the app answers HTTP.
    #[error(
        "the app has nothing to serve: add an `http.endpoint`, an `http.static` or an `http.service`"
    )]
    Nothing,
    /// A listen address was given, and the app has several services.
    #[error("an address was given and several services listen ({services}): set their `addr`")]
    Ambiguous {
        /// The services.
        services: String,
    },
    /// An address that does not resolve.
    #[error("service `{service}`: cannot resolve the address `{addr}`")]
    Address {
        /// The service.
        service: String,
        /// The address as written.
        addr: ListenAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A service cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A service that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listening {
    /// Id of the service's entry; `listen` for the implicit service.
    pub service: String,
    /// Address that it listens on.
    pub addr: Address,
    /// True for TLS.
    pub secure: bool,
}
