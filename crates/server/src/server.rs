//! Several services at once: start, replace while serving, stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crisol_core::{CallError, EntryId, Invoke, invoke_fn};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use crate::config::Service;
use crate::listen::{Listening, Stopped};
use crate::site::{RouteErrors, Site};

/// Services that have been checked and are not yet listening.
pub struct Server {
    services: Vec<(Service, Site)>,
}

/// Services that are being served. Dropping it cuts everything at once; see [`Running::stop`].
pub struct Running {
    listening: Vec<Listening>,
    retiring: JoinSet<()>,
}

/// Why a server did not start, or a change was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The services contradict themselves.
    #[error("the routes cannot be served")]
    Routes(#[from] RouteErrors),
    /// An address cannot be listened on.
    #[error("service `{service}` cannot listen on {addr}")]
    Bind {
        /// The service.
        service: String,
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl Server {
    /// Checks services: every pattern, conflict and setting, all problems at once.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(services: Vec<Service>, invoke: Arc<dyn Invoke>) -> Result<Self, RouteErrors> {
        let sites = Site::build_all(&services, &invoke)?;
        Ok(Self { services: services.into_iter().zip(sites).collect() })
    }

    /// Listens on every address and begins to serve.
    ///
    /// # Errors
    /// When one of the addresses cannot be had; then none is served.
    pub async fn start(self) -> Result<Running, StartError> {
        let mut listening = Vec::with_capacity(self.services.len());
        for (service, site) in self.services {
            listening.push(listen(service.name, service.addr, site).await?);
        }
        Ok(Running { listening, retiring: JoinSet::new() })
    }
}

/// Checks services as [`Server::new`] does, without anything to call.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(services: &[Service]) -> Result<(), RouteErrors> {
    let nothing =
        invoke_fn(None, |id: EntryId, _, _| std::future::ready(Err(CallError::Unavailable { id })));
    let nothing: Arc<dyn Invoke> = Arc::new(nothing);
    Site::build_all(services, &nothing).map(drop)
}

async fn listen(name: String, addr: SocketAddr, site: Site) -> Result<Listening, StartError> {
    let bind = |source| StartError::Bind { service: name.clone(), addr, source };
    let listener = TcpListener::bind(addr).await.map_err(bind)?;
    Listening::start(name.clone(), addr, listener, site).map_err(bind)
}

/// Whether a service can go on with a socket.
fn is_same(old: &Listening, service: &Service) -> bool {
    let any_port = service.addr.port() == 0;
    old.wanted == service.addr && (!any_port || old.name == service.name)
}

impl Running {
    /// Each service with the address that it listens on.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.listening.iter().map(|service| (service.name.as_str(), service.addr))
    }

    /// Serves other services, and calls `invoke`, from now on. A service that keeps its address (with port 0: its name) keeps its
    /// socket and its connections: requests that run finish on the old routes, all later ones see the new. A new one
    /// begins to listen, one that is gone stops as [`Running::stop`] does, within `grace`.
    ///
    /// Of a lowered `max_connections` or `max_requests` what is open or runs already may end; limits and timeouts that
    /// belong to a connection are those of when it was opened.
    ///
    /// # Errors
    /// When anything about the new services is wrong; then nothing changes.
    pub async fn replace(
        &mut self,
        services: Vec<Service>,
        invoke: Arc<dyn Invoke>,
        grace: Duration,
    ) -> Result<(), StartError> {
        let sites = Site::build_all(&services, &invoke)?;
        let mut fresh = Vec::new();
        let mut kept = Vec::new();
        for (service, site) in services.into_iter().zip(sites) {
            if self.listening.iter().any(|old| is_same(old, &service)) {
                kept.push((service, site));
            } else {
                fresh.push(listen(service.name, service.addr, site).await?);
            }
        }
        // Nothing can fail from here on.
        let old = std::mem::take(&mut self.listening);
        for mut listening in old {
            match kept.iter().position(|(service, _)| is_same(&listening, service)) {
                Some(at) => {
                    let (service, site) = kept.swap_remove(at);
                    listening.name = service.name;
                    listening.replace(site);
                    self.listening.push(listening);
                }
                None => self.retire(listening, grace),
            }
        }
        self.listening.extend(fresh);
        Ok(())
    }

    fn retire(&mut self, listening: Listening, grace: Duration) {
        while self.retiring.try_join_next().is_some() {}
        info!(service = listening.name, addr = %listening.addr, "no longer listening");
        self.retiring.spawn(async move {
            listening.stop(grace).await;
        });
    }

    /// Stops accepting everywhere, lets what runs finish within `grace`, and cuts the rest. Requests
    /// that come meanwhile on open connections are not read.
    pub async fn stop(mut self, grace: Duration) -> Stopped {
        let mut stops = JoinSet::new();
        for listening in std::mem::take(&mut self.listening) {
            stops.spawn(listening.stop(grace));
        }
        let mut total = Stopped::default();
        while let Some(Ok(one)) = stops.join_next().await {
            total.finished += one.finished;
            total.aborted += one.aborted;
        }
        while self.retiring.join_next().await.is_some() {}
        total
    }
}
