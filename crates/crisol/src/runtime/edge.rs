//! An edge: a way in to an app that its entries configure, such as HTTP.
//!
//! Serving an app is serving all its edges; a change is prepared on all of them before it is made on any.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crisol_schema::ListenAddr;
use crisol_server::{Address, StartError, Stopped};

use crate::app::Generation;

/// A way in to an app. It calls functions through the generation that it serves, and nothing else of it.
#[async_trait]
pub(super) trait Edge: Send + Sync {
    /// Does all that can fail of serving a generation from now on, and changes nothing yet. To be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// When anything about it is wrong; then what was served is served on.
    async fn prepare<'a>(
        &'a mut self,
        generation: &Arc<Generation>,
        options: &ServeOptions,
    ) -> Result<Box<dyn Prepared + 'a>, ServeError>;

    /// The places that clients reach it at.
    fn listening(&self) -> Vec<Listening>;

    /// Sends clients elsewhere while everything is served on.
    fn drain(&self);

    /// Stops taking work, lets what runs finish within `grace`, and cuts the rest.
    async fn stop(self: Box<Self>, grace: Duration) -> Stopped;
}

/// A generation that an edge is ready to serve. Dropping it gives it up.
pub(super) trait Prepared: Send {
    /// Whether the generation has nothing for this edge.
    fn is_empty(&self) -> bool;

    /// Serves it from now on. What runs on what is gone may finish within `grace`.
    fn commit(self: Box<Self>, grace: Duration);
}

/// Options of serving an app.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Where to listen when no `http.service` says it (then `127.0.0.1:8080` if not given), or instead
    /// of where the only one does.
    pub listen: Option<ListenAddr>,
}

impl ServeOptions {
    /// The same options, listening on `addr`.
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
    /// An address was given, and there are several services that could have it.
    #[error("an address was given and several services listen ({services}): set their `addr`")]
    Ambiguous {
        /// The services.
        services: String,
    },
    /// An address that cannot be found.
    #[error("service `{service}`: there is no address `{addr}`")]
    Address {
        /// The service.
        service: String,
        /// What was to be found.
        addr: ListenAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A service cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// One service that is being served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listening {
    /// The service's entry; `listen` for one that no entry declares.
    pub service: String,
    /// Where it listens.
    pub addr: Address,
    /// Whether it speaks TLS.
    pub secure: bool,
}
