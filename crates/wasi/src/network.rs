//! Peers that a guest may reach: the allow-list, checked against addresses and not only names.
//!
//! A rule of the list names addresses (`10.0.0.0/8:*`), a host (`api.example.com:443`), the hosts below one
//! (`*.example.com:443`) or every host (`*:443`). The owner of a name decides its addresses, so a name, and `*`, reach
//! public addresses only: an address of this machine or of a private network is refused unless a rule lists the address
//! itself. Only the name `localhost` means this machine.
//!
//! Sockets pass addresses without names. For an address that no rule lists, the hosts of the list are looked up here.
//! The hosts below a name cannot be looked up: such rules apply to outgoing HTTP, where the name is known.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crisol_core::EntryId;
use crisol_schema::{HostPattern, Network, NetworkRule};
use tokio::time::Instant;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::runtime::spawn_blocking;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtx};

use crate::call_scope::call;
use crate::public;

/// Time for which an address in an answer belongs to its name.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Time before a name is looked up again for an address that was not among its answers.
const LOOKUP_PAUSE: Duration = Duration::from_secs(1);

/// Most addresses of one name that are remembered.
const MAX_ADDRESSES: usize = 64;

/// Most refusals of one function that are logged: a guest must not fill the log.
const MAX_LOGGED: usize = 64;

/// Resolver of host names.
pub trait Resolver: Send + Sync + 'static {
    /// Returns the addresses of a host, in the order to try them. May block.
    ///
    /// # Errors
    /// Fails when there is no answer.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// Reason that a peer is not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// Peer that no rule lists.
    #[error("`{peer}` is not in `wasi.network` of `{function}`: add `{peer}` to allow it")]
    NotListed {
        /// Function with the list.
        function: EntryId,
        /// Host and port of the request.
        peer: String,
    },
    /// Listed name that resolves to an address which names alone may not reach.
    #[error(
        "`{peer}` resolves to `{address}`, which is not a public address: add `{address}` to `wasi.network` of `{function}` to allow it"
    )]
    NotPublic {
        /// Function with the list.
        function: EntryId,
        /// Host and port of the request.
        peer: String,
        /// First of its addresses.
        address: SocketAddr,
    },
    /// Name without an address.
    #[error("`{host}` cannot be resolved")]
    Unresolved {
        /// Host of the request.
        host: String,
        /// Error of the resolver.
        source: io::Error,
    },
}

/// Peers that one function may reach.
pub struct Peers {
    function: EntryId,
    rules: Network,
    resolver: Arc<dyn Resolver>,
    known: Mutex<HashMap<Box<str>, Answers>>,
    logged: Mutex<HashSet<String>>,
}

/// Answers for one name.
struct Answers {
    asked: Instant,
    addresses: HashMap<IpAddr, Instant>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers")
            .field("function", &self.function)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Peers {
    /// Makes the peers of an allow-list; errors and the log name `function`.
    pub fn new(function: &EntryId, rules: Network, resolver: Arc<dyn Resolver>) -> Self {
        Self {
            function: function.clone(),
            rules,
            resolver,
            known: Mutex::default(),
            logged: Mutex::default(),
        }
    }

    /// Resolves a host to the addresses that may be reached. Connect to one of these and do not look the name up again:
    /// a second answer may differ. `host` is a name or an address, the latter with or without brackets.
    ///
    /// For outgoing HTTP; sockets use [`Peers::allows`]. A refusal is logged with the line to add.
    ///
    /// # Errors
    /// Fails when the host is not listed, has no address, or only addresses that it may not lead to.
    pub async fn reach(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, PeerError> {
        let found = self.find(host, port).await;
        if let Err(refused @ (PeerError::NotListed { .. } | PeerError::NotPublic { .. })) = &found {
            self.log_once(format!("{host}:{port}"), |function| {
                tracing::warn!(%function, call = call(), "refused an HTTP request: {refused}");
            });
        }
        found
    }

    async fn find(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, PeerError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let peer = || format!("{host}:{port}");
        let not_listed = || PeerError::NotListed { function: self.function.clone(), peer: peer() };
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let address = SocketAddr::new(ip, port);
            return if self.lists(address) { Ok(vec![address]) } else { Err(not_listed()) };
        }
        if !self.rules.allows_name(host, port) {
            return Err(not_listed());
        }
        let found = self.look_up(host).await;
        let found =
            found.map_err(|source| PeerError::Unresolved { host: host.to_owned(), source })?;
        let addresses = found.iter().map(|&ip| SocketAddr::new(ip, port));
        let reachable: Vec<SocketAddr> =
            addresses.filter(|&to| self.leads(host, to) || self.lists(to)).collect();
        match found.first() {
            Some(&first) if reachable.is_empty() => Err(PeerError::NotPublic {
                function: self.function.clone(),
                peer: peer(),
                address: SocketAddr::new(first, port),
            }),
            Some(_) => Ok(reachable),
            None => Err(PeerError::Unresolved {
                host: host.to_owned(),
                source: io::Error::from(io::ErrorKind::NotFound),
            }),
        }
    }

    /// Returns true if a socket may be used so: to send to and receive from listed peers, and to bind as far as sending
    /// needs it. Listening is not supported.
    pub async fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let allowed = match purpose {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
                self.lists(address) || self.is_of_a_listed_host(address).await
            }
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                return address.port() == 0 && address.ip().is_unspecified();
            }
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        };
        if !allowed {
            self.log(address, purpose);
        }
        allowed
    }

    /// Returns true if the name may lead to one of its addresses. `*` means every public host; this machine needs a
    /// rule of its own.
    fn leads(&self, host: &str, to: SocketAddr) -> bool {
        let says = |rule: &NetworkRule| {
            rule.allows_name(host, to.port())
                && (rule.host != HostPattern::Any || public::is_public(to.ip()))
        };
        leads_to(host, to.ip()) && self.rules.rules().iter().any(says)
    }

    /// Returns true if a rule lists the address itself, or every host and the address is public.
    fn lists(&self, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        let lists = |rule: &NetworkRule| {
            rule.allows_ip(ip, port) && (rule.host != HostPattern::Any || public::is_public(ip))
        };
        self.rules.rules().iter().any(lists)
    }

    /// Returns true if a listed host has this address and may lead to it.
    async fn is_of_a_listed_host(&self, address: SocketAddr) -> bool {
        for rule in self.rules.rules() {
            let HostPattern::Name(host) = &rule.host else { continue };
            if rule.port.allows(address.port())
                && leads_to(host, address.ip())
                && self.has(host, address.ip()).await
            {
                return true;
            }
        }
        false
    }

    async fn has(&self, host: &str, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if let Some(known) = self.remembers(host, ip, Instant::now()) {
            return known;
        }
        let found = self.look_up(host).await.unwrap_or_default();
        self.remember(host, &found, Instant::now());
        found.iter().any(|found| found.to_canonical() == ip)
    }

    /// Returns true if an address is known to belong to a name; `None` when a lookup is due.
    fn remembers(&self, host: &str, ip: IpAddr, now: Instant) -> Option<bool> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = known.get_mut(host)?;
        answers.addresses.retain(|_, seen| now.saturating_duration_since(*seen) < REMEMBERED);
        if answers.addresses.contains_key(&ip) {
            return Some(true);
        }
        (now.saturating_duration_since(answers.asked) < LOOKUP_PAUSE).then_some(false)
    }

    fn remember(&self, host: &str, found: &[IpAddr], now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Answers { asked: now, addresses: HashMap::new() };
        let answers = known.entry(host.into()).or_insert_with(new);
        answers.asked = now;
        for ip in found.iter().map(|ip| ip.to_canonical()) {
            if answers.addresses.len() < MAX_ADDRESSES || answers.addresses.contains_key(&ip) {
                answers.addresses.insert(ip, now);
            }
        }
    }

    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let (resolver, host) = (Arc::clone(&self.resolver), host.to_owned());
        spawn_blocking(move || resolver.resolve(&host)).await
    }

    /// Logs a refusal with the rule that would allow it.
    fn log(&self, address: SocketAddr, purpose: SocketAddrUse) {
        // Unsolicited traffic is not the guest's doing.
        if matches!(purpose, SocketAddrUse::UdpReceive | SocketAddrUse::TcpAccept) {
            return;
        }
        self.log_once(format!("{purpose:?} {address}"), |function| match purpose {
            SocketAddrUse::TcpListen => {
                tracing::warn!(%function, call = call(), %address, "refused to listen: guests have no listening sockets");
            }
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                tracing::warn!(%function, call = call(), %address, "refused to bind a socket: guests may bind port 0 of every address alone");
            }
            _ => tracing::warn!(
                %function,
                call = call(),
                "refused to reach `{address}`: add `{address}` to `wasi.network` of `{function}`"
            ),
        });
    }

    /// Logs each key once, up to the limit.
    fn log_once(&self, key: String, event: impl FnOnce(&EntryId)) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= MAX_LOGGED || !logged.insert(key) {
            return;
        }
        let last = logged.len() == MAX_LOGGED;
        drop(logged);
        event(&self.function);
        if last {
            tracing::warn!(function = %self.function, "further refusals are not logged");
        }
    }
}

/// Returns true if a listed name may lead to an address without a rule for the address.
fn leads_to(host: &str, ip: IpAddr) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    // RFC 6761, 6.3: these names always mean this machine.
    let local = name == "localhost" || name.ends_with(".localhost");
    if local { ip.to_canonical().is_loopback() } else { public::is_public(ip) }
}

/// Sockets of a context with these peers.
pub(crate) fn sockets(peers: &Arc<Peers>) -> WasiSocketsCtx {
    let names = |rule: &NetworkRule| !matches!(rule.host, HostPattern::Net { .. });
    let lookup = peers.rules.rules().iter().any(names);
    // Without a list the guest gets no sockets at all.
    let any = !peers.rules.is_empty();
    let peers = Arc::clone(peers);
    let mut builder = WasiCtx::builder();
    builder.allow_tcp(any).allow_udp(any).allow_ip_name_lookup(lookup);
    builder.socket_addr_check(move |address, purpose| {
        let peers = Arc::clone(&peers);
        Box::pin(async move { peers.allows(address, purpose).await })
    });
    builder.build().sockets().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Resolver for Nobody {
        fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn known_addresses_expire_and_lookups_pause() -> Result<(), Box<dyn std::error::Error>> {
        let peers = Peers::new(&"a:f".parse()?, Network::default(), Arc::new(Nobody));
        let (old, new): (IpAddr, IpAddr) = ("93.184.216.34".parse()?, "8.8.8.8".parse()?);
        let start = Instant::now();
        assert_eq!(peers.remembers("db", old, start), None);
        peers.remember("db", &[old], start);
        assert_eq!(peers.remembers("db", old, start + REMEMBERED / 2), Some(true));
        assert_eq!(peers.remembers("db", new, start), Some(false));
        assert_eq!(peers.remembers("db", new, start + LOOKUP_PAUSE), None);
        assert_eq!(peers.remembers("db", old, start + REMEMBERED), None);
        Ok(())
    }

    #[test]
    fn a_name_with_endless_addresses_does_not_fill_the_memory()
    -> Result<(), Box<dyn std::error::Error>> {
        let peers = Peers::new(&"a:f".parse()?, Network::default(), Arc::new(Nobody));
        let many: Vec<IpAddr> = (0..1000).map(|n: u32| IpAddr::V4(n.into())).collect();
        peers.remember("db", &many, Instant::now());
        let known = peers.known.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(known.get("db").map(|answers| answers.addresses.len()), Some(MAX_ADDRESSES));
        Ok(())
    }
}
