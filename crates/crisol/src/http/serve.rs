//! Serving: from the current generation to sockets, and on to the next one.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crisol_core::Invoke;
use crisol_schema::ListenAddr;
use crisol_server::{Address, Readiness, Running, Server, Service, StartError, Stopped};

use super::{Declared, Site};
use crate::change::{Applied, PreparedChange};
use crate::generation::Generation;
use crate::runtime::Runtime;

/// How an app is served.
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

/// Why an app is not served.
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

/// An app that is being served. Dropping it cuts every connection; see [`Serving::stop`].
pub struct Serving {
    runtime: Runtime,
    options: ServeOptions,
    running: Running,
    secure: Vec<String>,
}

impl Runtime {
    /// Listens on every address of the app and serves its current generation.
    ///
    /// # Errors
    /// When there is nothing to serve, or an address cannot be had.
    pub async fn serve(&self, options: ServeOptions) -> Result<Serving, ServeError> {
        let generation = self.generation();
        let services = services(&generation, &options).await?;
        if services.is_empty() {
            return Err(ServeError::Nothing);
        }
        let secure = secure(&services);
        let server = Server::new(services, invoke(&generation)).map_err(StartError::from)?;
        let running = server.start().await?;
        Ok(Serving { runtime: self.clone(), options, running, secure })
    }
}

impl Serving {
    /// What is served, and where.
    #[must_use]
    pub fn listening(&self) -> Vec<Listening> {
        let one = |(service, addr): (&str, &Address)| Listening {
            service: service.to_owned(),
            addr: addr.clone(),
            secure: self.secure.iter().any(|name| name == service),
        };
        self.running.addresses().map(one).collect()
    }

    /// Serves the runtime's current generation from now on: its routes call its functions. Requests that
    /// run finish in theirs; sockets and connections of services that stay are kept.
    ///
    /// This follows a change that [`Runtime::apply`] has made already; [`Serving::commit`] makes one that
    /// routes or sockets can still refuse.
    ///
    /// # Errors
    /// When there is nothing left to serve, or an address cannot be had; then the last generation that could be is
    /// served on.
    pub async fn refresh(&mut self, grace: Duration) -> Result<(), ServeError> {
        let generation = self.runtime.generation();
        self.take(&generation, grace, || ()).await
    }

    /// Makes a prepared change of the runtime and serves it from then on, in one step: functions, routes,
    /// sockets and certificates, or nothing of it.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn reload(
    /// #     runtime: crisol::Runtime,
    /// #     mut serving: crisol::Serving,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let change = runtime.prepare_reload().await?;
    /// let applied = serving.commit(change, Duration::from_secs(30)).await?;
    /// println!("generation {} is served", applied.generation);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is nothing left to serve, or an address cannot be had; then neither what is served nor the
    /// runtime's current generation has changed.
    pub async fn commit(
        &mut self,
        change: PreparedChange,
        grace: Duration,
    ) -> Result<Applied, ServeError> {
        let generation = Arc::clone(change.generation());
        self.take(&generation, grace, || change.commit()).await
    }

    /// Serves a generation: `commit` is called when nothing can fail any longer.
    async fn take<T>(
        &mut self,
        generation: &Arc<Generation>,
        grace: Duration,
        commit: impl FnOnce() -> T,
    ) -> Result<T, ServeError> {
        let services = services(generation, &self.options).await?;
        if services.is_empty() {
            return Err(ServeError::Nothing);
        }
        let secure = secure(&services);
        let replacement = self.running.prepare(services, &invoke(generation))?;
        let done = commit();
        replacement.commit(grace);
        self.secure = secure;
        Ok(done)
    }

    /// Sends clients elsewhere while everything is served on: [`Serving::readiness`] is over, and over
    /// HTTP/1.1 every response closes its connection. To be called some time before [`Serving::stop`], for load
    /// balancers that learn of the end late.
    pub fn drain(&self) {
        self.running.drain();
    }

    /// Whether new clients are wanted, for a readiness probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.running.readiness()
    }

    /// Stops accepting, serves what has arrived, lets what runs finish within `grace`, and cuts the rest.
    pub async fn stop(self, grace: Duration) -> Stopped {
        self.running.stop(grace).await
    }
}

fn invoke(generation: &Arc<Generation>) -> Arc<dyn Invoke> {
    Arc::<Generation>::clone(generation)
}

fn secure(services: &[Service]) -> Vec<String> {
    services.iter().filter(|one| one.tls.is_some()).map(|one| one.name.clone()).collect()
}

/// The services of a generation, with addresses.
pub(crate) async fn services(
    generation: &Generation,
    options: &ServeOptions,
) -> Result<Vec<Service>, ServeError> {
    let Site { services: declared } = generation.site();
    if let (Some(_), [_, _, ..]) = (&options.listen, declared.as_slice()) {
        let names: Vec<_> = declared.iter().map(|one| format!("`{}`", one.service.name)).collect();
        return Err(ServeError::Ambiguous { services: names.join(", ") });
    }
    let mut services = Vec::with_capacity(declared.len());
    for Declared { addr, service, .. } in declared {
        let wanted = options.listen.as_ref().or(addr.as_ref());
        let addr = match wanted {
            Some(addr) => resolve(addr).await.map_err(|source| ServeError::Address {
                service: service.name.clone(),
                addr: addr.clone(),
                source,
            })?,
            None => Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080))),
        };
        services.push(Service { addr, ..service.clone() });
    }
    Ok(services)
}

/// The address that is meant: of a name that has several, the first.
async fn resolve(addr: &ListenAddr) -> io::Result<Address> {
    let Some((host, port)) = addr.tcp() else {
        return Ok(Address::Unix(addr.unix().ok_or(io::ErrorKind::InvalidInput)?.to_owned()));
    };
    if host.is_empty() {
        return Ok(everywhere(port).into());
    }
    let mut found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.next().ok_or(io::ErrorKind::NotFound)?.into())
}

/// Every address of the machine: of IPv6 and IPv4 where there is IPv6, which takes both.
fn everywhere(port: u16) -> SocketAddr {
    match std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        Err(_) => SocketAddr::from(([0, 0, 0, 0], port)),
    }
}
