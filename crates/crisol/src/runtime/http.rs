//! The HTTP edge: serves the site of a generation on sockets, and replaces it with the next one.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crisol_core::{CallError, EntryId, Invoke, invoke_fn};
use crisol_schema::ListenAddr;
use crisol_server::{Address, Replacement, Running, Server, Service, StartError, Stopped};

use super::edge::{Edge, Listening, Prepared, ServeError, ServeOptions};
use crate::app::Generation;
use crate::web::{Declared, Site};

/// The listening services of an app, with the names of those that use TLS.
pub(super) struct Http {
    running: Running,
    secure: Vec<String>,
}

impl Http {
    /// Starts a server without services.
    pub(super) async fn start() -> Result<Self, ServeError> {
        let nothing = |id: EntryId, _, _| std::future::ready(Err(CallError::unavailable(&id)));
        let invoke: Arc<dyn Invoke> = Arc::new(invoke_fn(None, nothing));
        let server = Server::new(Vec::new(), invoke).map_err(StartError::from)?;
        Ok(Self { running: server.start().await?, secure: Vec::new() })
    }
}

#[async_trait]
impl Edge for Http {
    async fn prepare<'a>(
        &'a mut self,
        generation: &Arc<Generation>,
        options: &ServeOptions,
    ) -> Result<Box<dyn Prepared + 'a>, ServeError> {
        let services = services(generation.site(), options).await?;
        let secure = services.iter().filter(|one| one.tls.is_some());
        let secure: Vec<_> = secure.map(|one| one.name.clone()).collect();
        let is_empty = services.is_empty();
        let invoke: Arc<dyn Invoke> = Arc::<Generation>::clone(generation);
        let Self { running, secure: now_secure } = self;
        let replacement = running.prepare(services, &invoke)?;
        Ok(Box::new(Ready { replacement, is_empty, secure: (secure, now_secure) }))
    }

    fn listening(&self) -> Vec<Listening> {
        let one = |(service, addr): (&str, &Address)| Listening {
            service: service.to_owned(),
            addr: addr.clone(),
            secure: self.secure.iter().any(|name| name == service),
        };
        self.running.addresses().map(one).collect()
    }

    fn drain(&self) {
        self.running.drain();
    }

    async fn stop(self: Box<Self>, grace: Duration) -> Stopped {
        self.running.stop(grace).await
    }
}

/// Services with open sockets, ready to be served.
struct Ready<'a> {
    replacement: Replacement<'a>,
    is_empty: bool,
    /// Names of the new generation's services with TLS, and the list that they replace.
    secure: (Vec<String>, &'a mut Vec<String>),
}

impl Prepared for Ready<'_> {
    fn is_empty(&self) -> bool {
        self.is_empty
    }

    fn commit(self: Box<Self>, grace: Duration) {
        let (secure, now_secure) = self.secure;
        *now_secure = secure;
        self.replacement.commit(grace);
    }
}

/// Returns the services of a generation with resolved addresses.
async fn services(site: &Site, options: &ServeOptions) -> Result<Vec<Service>, ServeError> {
    let Site { services: declared } = site;
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

/// Resolves a listen address; of a name with several addresses, takes the first.
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

/// Returns the unspecified address: IPv6 where available, since it covers IPv4 too, else IPv4.
fn everywhere(port: u16) -> SocketAddr {
    match std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        Err(_) => SocketAddr::from(([0, 0, 0, 0], port)),
    }
}
