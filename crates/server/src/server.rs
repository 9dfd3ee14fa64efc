//! A set of services: start, replacement under load, stop.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crisol_core::{CallError, EntryId, Invoke, invoke_fn};
use tokio::task::JoinSet;
use tracing::info;

use crate::address::Address;
use crate::checked_service::{CheckedService, RouteErrors};
use crate::config::Service;
use crate::listener::{Listener, ServerState, Stopped};
use crate::socket::{BoundSocket, Socket};

/// Checked services that are not listening yet.
pub struct Server {
    services: Vec<(Service, CheckedService)>,
}

/// Services that are being served. Dropping it cuts all connections at once; see [`Running::stop`].
#[derive(Default)]
pub struct Running {
    listeners: Vec<Listener>,
    retiring: JoinSet<()>,
    /// Sockets that close once they have no pending connections.
    leaving: Vec<Weak<Socket>>,
    common: ServerState,
}

/// Checked services, with listening sockets, to replace those of a running server. Dropping it discards them.
pub struct Replacement<'a> {
    running: &'a mut Running,
    /// Services that keep a socket, by the index of its current owner.
    kept: HashMap<usize, (Service, CheckedService)>,
    fresh: Vec<Fresh>,
}

/// A service with a new socket, from which nothing is accepted yet.
struct Fresh {
    service: Service,
    checked: CheckedService,
    socket: Socket,
}

/// Readiness of a server for new clients. Clones share it and cost a reference count.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// True until [`Running::drain`]; after that, load balancers should send clients elsewhere.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Error of a start or a replacement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The routes or settings of the services are not valid.
    #[error("invalid routes or settings")]
    Routes(#[from] RouteErrors),
    /// An address cannot be listened on.
    #[error("service `{service}` cannot listen on {addr}")]
    Bind {
        /// The service.
        service: String,
        /// The address.
        addr: Address,
        /// The system's error.
        source: io::Error,
    },
}

impl Server {
    /// Checks patterns, conflicts and settings of the services, and reports all problems together.
    ///
    /// # Errors
    /// Returns every problem found.
    pub fn new(services: Vec<Service>, invoke: Arc<dyn Invoke>) -> Result<Self, RouteErrors> {
        let checked = CheckedService::build_all(&services, &invoke)?;
        Ok(Self { services: services.into_iter().zip(checked).collect() })
    }

    /// Listens on all addresses and starts to serve.
    ///
    /// # Errors
    /// Fails if one of the addresses is not available; no service is started then.
    #[expect(clippy::unused_async, reason = "it needs a runtime, which an async function has")]
    pub async fn start(self) -> Result<Running, StartError> {
        let mut running = Running::default();
        let fresh = listen(self.services, &[])?;
        Replacement { running: &mut running, kept: HashMap::new(), fresh }.commit(Duration::ZERO);
        Ok(running)
    }
}

/// Checks services like [`Server::new`], without functions to call.
///
/// # Errors
/// Returns every problem found.
pub fn check(services: &[Service]) -> Result<(), RouteErrors> {
    let nothing =
        invoke_fn(None, |id: EntryId, _, _| std::future::ready(Err(CallError::unavailable(&id))));
    let nothing: Arc<dyn Invoke> = Arc::new(nothing);
    CheckedService::build_all(services, &nothing).map(drop)
}

/// Opens the sockets of all services, or of none. Addresses may overlap with those of `leaving` sockets, which
/// still get their connections until they close.
fn listen(
    services: Vec<(Service, CheckedService)>,
    leaving: &[Arc<Socket>],
) -> Result<Vec<Fresh>, StartError> {
    let failed = |service: &Service, source| StartError::Bind {
        service: service.name.clone(),
        addr: service.addr.clone(),
        source,
    };
    let mut bound = Vec::with_capacity(services.len());
    for (service, checked) in services {
        let socket =
            BoundSocket::new(&service.addr, leaving).map_err(|error| failed(&service, error))?;
        bound.push((service, checked, socket));
    }
    // Sockets that share another one's port come last: no step after them can fail.
    bound.sort_by_key(|(_, _, socket)| socket.is_sharing());
    let mut shared = Vec::new();
    let mut fresh = Vec::with_capacity(bound.len());
    for (service, checked, socket) in bound {
        let (socket, sharing) = socket.listen().map_err(|error| failed(&service, error))?;
        shared.extend(sharing);
        fresh.push(Fresh { service, checked, socket });
    }
    Ok(fresh)
}

/// For each new service, the index of the current one whose socket it keeps: the one configured with the same
/// address (with port 0, also the same name), otherwise the one listening there.
fn keep(old: &[Listener], services: &[Service]) -> Vec<Option<usize>> {
    let configured = |old: &Listener, new: &Service| {
        old.configured == new.addr && (!new.addr.is_any_port() || old.name == new.name)
    };
    let listens = |old: &Listener, new: &Service| old.socket.addr == new.addr;
    let mut kept = vec![None; services.len()];
    for is_same in [&configured as &dyn Fn(&Listener, &Service) -> bool, &listens] {
        for (at, new) in services.iter().enumerate() {
            let free = |index: &usize| !kept.contains(&Some(*index));
            let found = (0..old.len())
                .filter(free)
                .find(|index| old.get(*index).is_some_and(|old| is_same(old, new)));
            if let Some(place @ None) = kept.get_mut(at) {
                *place = found;
            }
        }
    }
    kept
}

impl Running {
    /// Names of the services with their listening addresses.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.listeners.iter().map(|service| (service.name.as_str(), &service.socket.addr))
    }

    /// Replaces the services and `invoke` while serving. A service that keeps its address (with port 0, its name)
    /// keeps its socket and its connections: running requests finish on the old routes, later ones see the new
    /// routes. A new service starts to listen; a removed one stops like [`Running::stop`], within `grace`.
    ///
    /// A lowered `max_connections` or `max_requests` does not cut open connections or running requests. Limits and
    /// timeouts of a connection stay those from its start.
    ///
    /// # Errors
    /// Fails if the new services have any problem; nothing changes then.
    #[expect(clippy::unused_async, reason = "it needs a runtime, which an async function has")]
    pub async fn replace(
        &mut self,
        services: Vec<Service>,
        invoke: Arc<dyn Invoke>,
        grace: Duration,
    ) -> Result<(), StartError> {
        self.prepare(services, &invoke)?.commit(grace);
        Ok(())
    }

    /// Runs the fallible part of [`Running::replace`]: checks the services and opens their sockets, whose
    /// connections the system holds until [`Replacement::commit`]. Must be called within a tokio runtime.
    ///
    /// A new address may overlap with one that is removed. Both sockets are then open until the old one has no
    /// pending connections, so that no client is refused.
    ///
    /// # Errors
    /// Fails if the new services have any problem; nothing changes then.
    pub fn prepare(
        &mut self,
        services: Vec<Service>,
        invoke: &Arc<dyn Invoke>,
    ) -> Result<Replacement<'_>, StartError> {
        let checked = CheckedService::build_all(&services, invoke)?;
        let places = keep(&self.listeners, &services);
        let gone = self.listeners.iter().enumerate().filter(|(at, _)| !places.contains(&Some(*at)));
        let mut leaving: Vec<_> = gone.map(|(_, old)| Arc::clone(&old.socket)).collect();
        leaving.extend(self.leaving.iter().filter_map(Weak::upgrade));
        let (mut kept, mut new) = (HashMap::new(), Vec::new());
        for (place, service) in places.into_iter().zip(services.into_iter().zip(checked)) {
            match place {
                Some(place) => drop(kept.insert(place, service)),
                None => new.push(service),
            }
        }
        let fresh = listen(new, &leaving)?;
        Ok(Replacement { running: self, kept, fresh })
    }

    fn retire(&mut self, listener: Listener, grace: Duration) {
        while self.retiring.try_join_next().is_some() {}
        self.leaving.retain(|socket| socket.strong_count() > 0);
        self.leaving.push(Arc::downgrade(&listener.socket));
        info!(service = listener.name, addr = %listener.socket.addr, "stopped listening");
        listener.close();
        self.retiring.spawn(async move {
            listener.stop(grace).await;
        });
    }

    /// Asks clients to go elsewhere while everything is still served: [`Running::readiness`] turns false, and over
    /// HTTP/1.1 every response closes its connection. Call it some time before [`Running::stop`], so that load
    /// balancers notice while new connections are still accepted.
    pub fn drain(&self) {
        self.common.draining.store(true, Ordering::Relaxed);
    }

    /// Readiness for new clients, for a readiness probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness(Arc::clone(&self.common.draining))
    }

    /// Stops accepting, lets running requests finish within `grace`, and cuts the rest.
    ///
    /// Everything that has arrived is served: connections pending in the system, which have a second for their
    /// first request, and requests whose first bytes have arrived, including pipelined ones.
    pub async fn stop(mut self, grace: Duration) -> Stopped {
        self.drain();
        let mut stops = JoinSet::new();
        for listener in std::mem::take(&mut self.listeners) {
            listener.close();
            stops.spawn(listener.stop(grace));
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

impl Replacement<'_> {
    /// Serves the new services in place of the old ones; see [`Running::replace`].
    pub fn commit(self, grace: Duration) {
        let Self { running, mut kept, fresh } = self;
        for (place, mut listener) in std::mem::take(&mut running.listeners).into_iter().enumerate()
        {
            match kept.remove(&place) {
                Some((service, checked)) => {
                    listener.name = service.name;
                    listener.configured = service.addr;
                    listener.replace(checked);
                    running.listeners.push(listener);
                }
                None => running.retire(listener, grace),
            }
        }
        for Fresh { service, checked, socket } in fresh {
            let named = (service.name, service.addr);
            running.listeners.push(Listener::start(named, socket, checked, &running.common));
        }
    }
}
