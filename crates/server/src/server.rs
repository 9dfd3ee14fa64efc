//! Several services at once: start, replace while serving, stop.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crisol_core::{CallError, EntryId, Invoke, invoke_fn};
use tokio::task::JoinSet;
use tracing::info;

use crate::address::Address;
use crate::config::Service;
use crate::listen::{Common, Listening, Stopped};
use crate::site::{RouteErrors, Site};
use crate::socket::{Bound, Socket};

/// Services that have been checked and are not yet listening.
pub struct Server {
    services: Vec<(Service, Site)>,
}

/// Services that are being served. Dropping it cuts everything at once; see [`Running::stop`].
#[derive(Default)]
pub struct Running {
    listening: Vec<Listening>,
    retiring: JoinSet<()>,
    /// Sockets that close as soon as they are empty.
    leaving: Vec<Weak<Socket>>,
    common: Common,
}

/// Other services for a running server: checked, and with their sockets listening. Dropping it gives them
/// up.
pub struct Replacement<'a> {
    running: &'a mut Running,
    /// By the place of the one whose socket they go on with.
    kept: HashMap<usize, (Service, Site)>,
    fresh: Vec<Fresh>,
}

/// A service with a socket that nothing is accepted from yet.
struct Fresh {
    service: Service,
    site: Site,
    socket: Socket,
}

/// Whether a server wants new clients. Cloning it is a reference count.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// True until [`Running::drain`]: from then on load balancers are to send clients elsewhere.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
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
        addr: Address,
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
    #[expect(clippy::unused_async, reason = "it needs a runtime, which an async function has")]
    pub async fn start(self) -> Result<Running, StartError> {
        let mut running = Running::default();
        let fresh = listen(self.services, &[])?;
        Replacement { running: &mut running, kept: HashMap::new(), fresh }.commit(Duration::ZERO);
        Ok(running)
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

/// Opens the sockets of services: all, or none. Addresses may overlap with those of sockets that are
/// `leaving`, which get their connections until they close.
fn listen(
    services: Vec<(Service, Site)>,
    leaving: &[Arc<Socket>],
) -> Result<Vec<Fresh>, StartError> {
    let failed = |service: &Service, source| StartError::Bind {
        service: service.name.clone(),
        addr: service.addr.clone(),
        source,
    };
    let mut bound = Vec::with_capacity(services.len());
    for (service, site) in services {
        let socket = Bound::new(&service.addr, leaving).map_err(|error| failed(&service, error))?;
        bound.push((service, site, socket));
    }
    // Those that take clients from another socket come last: nothing can fail after them.
    bound.sort_by_key(|(_, _, socket)| socket.is_sharing());
    let mut shared = Vec::new();
    let mut fresh = Vec::with_capacity(bound.len());
    for (service, site, socket) in bound {
        let (socket, sharing) = socket.listen().map_err(|error| failed(&service, error))?;
        shared.extend(sharing);
        fresh.push(Fresh { service, site, socket });
    }
    Ok(fresh)
}

/// For each service the one of the old that it goes on with: the one that was configured with its address
/// (with port 0: and has its name), or else the one that listens there.
fn keep(old: &[Listening], services: &[Service]) -> Vec<Option<usize>> {
    let configured = |old: &Listening, new: &Service| {
        old.wanted == new.addr && (!new.addr.is_any_port() || old.name == new.name)
    };
    let listens = |old: &Listening, new: &Service| old.socket.addr == new.addr;
    let mut kept = vec![None; services.len()];
    for is_same in [&configured as &dyn Fn(&Listening, &Service) -> bool, &listens] {
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
    /// Each service with the address that it listens on.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.listening.iter().map(|service| (service.name.as_str(), &service.socket.addr))
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

    /// Does of [`Running::replace`] all that can fail: checks the services and opens their sockets, of
    /// which the system holds the connections until [`Replacement::commit`]. To be called within a tokio
    /// runtime.
    ///
    /// A new address may take in one that is given up, or lie within it: both sockets are open then until the
    /// old one has nothing left, so that no client is refused.
    ///
    /// # Errors
    /// When anything about the new services is wrong; then nothing changes.
    pub fn prepare(
        &mut self,
        services: Vec<Service>,
        invoke: &Arc<dyn Invoke>,
    ) -> Result<Replacement<'_>, StartError> {
        let sites = Site::build_all(&services, invoke)?;
        let places = keep(&self.listening, &services);
        let gone = self.listening.iter().enumerate().filter(|(at, _)| !places.contains(&Some(*at)));
        let mut leaving: Vec<_> = gone.map(|(_, old)| Arc::clone(&old.socket)).collect();
        leaving.extend(self.leaving.iter().filter_map(Weak::upgrade));
        let (mut kept, mut new) = (HashMap::new(), Vec::new());
        for (place, service) in places.into_iter().zip(services.into_iter().zip(sites)) {
            match place {
                Some(place) => drop(kept.insert(place, service)),
                None => new.push(service),
            }
        }
        let fresh = listen(new, &leaving)?;
        Ok(Replacement { running: self, kept, fresh })
    }

    fn retire(&mut self, listening: Listening, grace: Duration) {
        while self.retiring.try_join_next().is_some() {}
        self.leaving.retain(|socket| socket.strong_count() > 0);
        self.leaving.push(Arc::downgrade(&listening.socket));
        info!(service = listening.name, addr = %listening.socket.addr, "no longer listening");
        listening.close();
        self.retiring.spawn(async move {
            listening.stop(grace).await;
        });
    }

    /// Sends clients elsewhere while everything is served on: [`Running::readiness`] is over, and over HTTP/1.1
    /// every response closes its connection. To be called some time before [`Running::stop`], so that
    /// load balancers learn of the end while new connections are still taken.
    pub fn drain(&self) {
        self.common.draining.store(true, Ordering::Relaxed);
    }

    /// Whether new clients are wanted, for a readiness probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness(Arc::clone(&self.common.draining))
    }

    /// Stops accepting everywhere, lets what runs finish within `grace`, and cuts the rest.
    ///
    /// What has arrived is served: connections that the system holds, which have a second for their first
    /// request, and requests of which the first bytes are there, also behind others on one connection.
    pub async fn stop(mut self, grace: Duration) -> Stopped {
        self.drain();
        let mut stops = JoinSet::new();
        for listening in std::mem::take(&mut self.listening) {
            listening.close();
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

impl Replacement<'_> {
    /// Serves the new services in place of the old, as [`Running::replace`] says.
    pub fn commit(self, grace: Duration) {
        let Self { running, mut kept, fresh } = self;
        for (place, mut listening) in std::mem::take(&mut running.listening).into_iter().enumerate()
        {
            match kept.remove(&place) {
                Some((service, site)) => {
                    listening.name = service.name;
                    listening.wanted = service.addr;
                    listening.replace(site);
                    running.listening.push(listening);
                }
                None => running.retire(listening, grace),
            }
        }
        for Fresh { service, site, socket } in fresh {
            let named = (service.name, service.addr);
            running.listening.push(Listening::start(named, socket, site, &running.common));
        }
    }
}
