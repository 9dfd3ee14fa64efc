//! Peers that a guest's sockets, and outgoing HTTP, may reach.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crisol_wasi::{PeerError, Peers, Resolver};
use expect_test::expect;
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::HostUdpSocket;
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket,
};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsView};

use crate::support::{Guest, app_with, chain, id};

/// Resolver with answers from the test, which may change them.
#[derive(Default)]
struct Fake {
    answers: Mutex<HashMap<String, Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Fake {
    fn answer(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.answers.lock().unwrap().insert(host.to_owned(), addresses);
    }
}

impl Resolver for Fake {
    fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answers = self.answers.lock().unwrap();
        answers.get(host).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

fn peers(rules: &[&str]) -> (Peers, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    (Peers::new(&id("a:f"), rules, Arc::clone(&fake) as Arc<dyn Resolver>), fake)
}

async fn connects(peers: &Peers, address: &str) -> bool {
    peers.allows(address.parse().unwrap(), SocketAddrUse::TcpConnect).await
}

async fn reached(peers: &Peers, host: &str, port: u16) -> String {
    match peers.reach(host, port).await {
        Ok(found) => found.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => chain(&error),
    }
}

#[tokio::test]
async fn sockets_reach_the_addresses_that_are_listed() {
    let (peers, fake) = peers(&["10.0.0.0/8:5432", "[fd00::]/8:*"]);
    assert!(connects(&peers, "10.1.2.3:5432").await);
    assert!(!connects(&peers, "10.1.2.3:5433").await);
    assert!(!connects(&peers, "11.1.2.3:5432").await);
    assert!(!connects(&peers, "127.0.0.1:5432").await);
    assert!(connects(&peers, "[fd12::1]:1").await);
    assert!(!connects(&peers, "[fe80::1]:1").await);
    assert!(connects(&peers, "[::ffff:10.1.2.3]:5432").await, "the same address in other clothes");
    assert_eq!(fake.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn every_host_means_every_public_host() {
    let (peers, _) = peers(&["*:443", "192.168.1.5:443"]);
    assert!(connects(&peers, "93.184.216.34:443").await);
    assert!(!connects(&peers, "93.184.216.34:80").await);
    for inside in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.4", "[::1]", "[fe80::1]"]
    {
        assert!(!connects(&peers, &format!("{inside}:443")).await, "{inside}");
    }
    assert!(connects(&peers, "192.168.1.5:443").await, "listed by itself");
}

#[tokio::test]
async fn sockets_reach_the_addresses_that_a_listed_host_has() {
    let (peers, fake) = peers(&["db.example.com:5432", "*.example.com:80"]);
    fake.answer("db.example.com", &["93.184.216.34", "2606:4700::1"]);
    assert!(connects(&peers, "93.184.216.34:5432").await);
    assert!(connects(&peers, "[2606:4700::1]:5432").await);
    assert_eq!(fake.asked.load(Ordering::Relaxed), 1, "an answer is remembered");
    assert!(!connects(&peers, "93.184.216.35:5432").await);
    assert!(!connects(&peers, "93.184.216.34:80").await, "no socket knows names below another");
}

#[tokio::test]
async fn name_rebound_to_a_private_address_is_refused() {
    let (peers, fake) = peers(&["api.example.com:443", "*:443"]);
    for inside in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1"]
    {
        fake.answer("api.example.com", &[inside]);
        let ip: IpAddr = inside.parse().unwrap();
        assert!(!connects(&peers, &SocketAddr::new(ip, 443).to_string()).await, "{inside}");
        let found = peers.reach("api.example.com", 443).await;
        assert!(matches!(found, Err(PeerError::NotPublic { .. })), "{inside}: {found:?}");
    }
    // First a public answer, which is allowed, and then another one.
    fake.answer("api.example.com", &["93.184.216.34"]);
    assert_eq!(reached(&peers, "api.example.com", 443).await, "93.184.216.34:443");
    fake.answer("api.example.com", &["127.0.0.1", "93.184.216.34"]);
    assert_eq!(reached(&peers, "api.example.com", 443).await, "93.184.216.34:443");
}

#[tokio::test]
async fn listed_private_address_is_allowed_for_a_listed_name() {
    let (peers, fake) = peers(&["db.internal:5432", "10.0.0.0/8:5432"]);
    fake.answer("db.internal", &["10.1.2.3", "192.168.0.1"]);
    assert_eq!(reached(&peers, "db.internal", 5432).await, "10.1.2.3:5432");
}

#[tokio::test]
async fn localhost_means_this_machine_and_nothing_else() {
    let (peers, fake) = peers(&["localhost:8080"]);
    fake.answer("localhost", &["127.0.0.1", "::1", "93.184.216.34"]);
    assert_eq!(reached(&peers, "localhost", 8080).await, "127.0.0.1:8080 [::1]:8080");
    assert!(connects(&peers, "127.0.0.1:8080").await);
    assert!(!connects(&peers, "127.0.0.2:8080").await);
    assert!(!connects(&peers, "93.184.216.34:8080").await);
    assert!(!connects(&peers, "127.0.0.1:8081").await);
}

#[tokio::test]
async fn every_host_is_not_this_machine_by_its_name() {
    let (peers, fake) = peers(&["*:*", "api.example.com:443"]);
    for name in ["localhost", "LocalHost.", "a.localhost", "127.1", "0x7f000001"] {
        fake.answer(name, &["127.0.0.1", "::1"]);
        let found = peers.reach(name, 8080).await;
        assert!(matches!(found, Err(PeerError::NotPublic { .. })), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn error_of_an_unlisted_peer_names_the_rule_to_add() {
    let (peers, fake) = peers(&["*.example.com:443", "api.other.com:443"]);
    fake.answer("a.example.com", &["93.184.216.34"]);
    fake.answer("b.example.com", &["10.0.0.1"]);
    fake.answer("c.example.com", &[]);
    let shown = [
        reached(&peers, "a.example.com", 443).await,
        reached(&peers, "A.EXAMPLE.com", 80).await,
        reached(&peers, "example.com", 443).await,
        reached(&peers, "evilexample.com", 443).await,
        reached(&peers, "b.example.com", 443).await,
        reached(&peers, "c.example.com", 443).await,
        reached(&peers, "api.other.com", 443).await,
        reached(&peers, "93.184.216.34", 443).await,
        reached(&peers, "[::1]", 443).await,
    ];
    expect![[r#"
        93.184.216.34:443
        `A.EXAMPLE.com:80` is not in `wasi.network` of `a:f`: add `A.EXAMPLE.com:80` to allow it
        `example.com:443` is not in `wasi.network` of `a:f`: add `example.com:443` to allow it
        `evilexample.com:443` is not in `wasi.network` of `a:f`: add `evilexample.com:443` to allow it
        `b.example.com:443` resolves to `10.0.0.1:443`, which is not a public address: add `10.0.0.1:443` to `wasi.network` of `a:f` to allow it
        `c.example.com` cannot be resolved
          entity not found
        `api.other.com` cannot be resolved
          entity not found
        `93.184.216.34:443` is not in `wasi.network` of `a:f`: add `93.184.216.34:443` to allow it
        `[::1]:443` is not in `wasi.network` of `a:f`: add `[::1]:443` to allow it"#]].assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn guest_may_bind_for_connecting_only_and_not_listen() {
    let (peers, _) = peers(&["*:*", "0.0.0.0/0:*"]);
    let use_of =
        async |address: &str, purpose| peers.allows(address.parse().unwrap(), purpose).await;
    assert!(use_of("0.0.0.0:0", SocketAddrUse::TcpBind).await);
    assert!(use_of("[::]:0", SocketAddrUse::UdpBind).await);
    assert!(!use_of("0.0.0.0:8080", SocketAddrUse::TcpBind).await);
    assert!(!use_of("127.0.0.1:0", SocketAddrUse::UdpBind).await);
    assert!(!use_of("0.0.0.0:40000", SocketAddrUse::TcpListen).await);
    assert!(!use_of("93.184.216.34:40000", SocketAddrUse::TcpAccept).await);
    assert!(use_of("93.184.216.34:53", SocketAddrUse::UdpSend).await);
    assert!(use_of("93.184.216.34:53", SocketAddrUse::UdpReceive).await);
}

/// Error code that the guest sees.
fn code<T>(result: Result<T, SocketError>) -> Result<T, ErrorCode> {
    result.map_err(|error| error.downcast().expect("an error that the guest sees"))
}

fn guest(network: &str) -> Guest {
    Guest::new(&app_with(&format!("network: [{network}]"), "").plan())
}

/// Connects as a guest does, until the outcome is known.
async fn connect(guest: &mut Guest, to: SocketAddr) -> Result<(), ErrorCode> {
    let network = instance_network::Host::instance_network(&mut guest.sockets()).unwrap().rep();
    let network = || wasmtime::component::Resource::new_borrow(network);
    let family = if to.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 };
    let socket = code(tcp_create_socket::Host::create_tcp_socket(&mut guest.sockets(), family))?;
    let socket = || wasmtime::component::Resource::new_borrow(socket.rep());
    let to = IpSocketAddress::from(to);
    code(HostTcpSocket::start_connect(&mut guest.sockets(), socket(), network(), to))?;
    loop {
        match code(HostTcpSocket::finish_connect(&mut guest.sockets(), socket())) {
            Err(ErrorCode::WouldBlock) => tokio::task::yield_now().await,
            decided => return decided.map(drop),
        }
    }
}

async fn listener() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn guest_connects_only_to_listed_peers() {
    let (_listener, address) = listener().await;
    let (_other, elsewhere) = listener().await;
    let mut guest = guest(&format!("\"{address}\""));
    assert_eq!(connect(&mut guest, address).await, Ok(()));
    assert_eq!(connect(&mut guest, elsewhere).await, Err(ErrorCode::AccessDenied));
}

#[tokio::test]
async fn a_guest_connects_to_a_listed_name() {
    let (_listener, address) = listener().await;
    let mut guest = guest(&format!("\"localhost:{}\"", address.port()));
    assert_eq!(connect(&mut guest, address).await, Ok(()));
}

#[tokio::test]
async fn guest_without_peers_has_no_network() {
    let (_listener, address) = listener().await;
    let mut guest = Guest::new(&app_with("{}", "").plan());
    assert_eq!(connect(&mut guest, address).await, Err(ErrorCode::AccessDenied));
    let family = IpAddressFamily::Ipv4;
    let mut sockets = guest.sockets();
    let made = udp_create_socket::Host::create_udp_socket(&mut sockets, family).await;
    assert_eq!(code(made).map(drop), Err(ErrorCode::AccessDenied));
    assert_eq!(look_up(&mut guest, "localhost").await, Err(ErrorCode::PermanentResolverFailure));
}

async fn look_up(guest: &mut Guest, name: &str) -> Result<(), ErrorCode> {
    use ip_name_lookup::{Host, HostResolveAddressStream};
    let network = instance_network::Host::instance_network(&mut guest.sockets()).unwrap();
    let stream = code(Host::resolve_addresses(&mut guest.sockets(), network, name.to_owned()))?;
    loop {
        let stream = wasmtime::component::Resource::new_borrow(stream.rep());
        let mut sockets = guest.sockets();
        match code(HostResolveAddressStream::resolve_next_address(&mut sockets, stream)) {
            Err(ErrorCode::WouldBlock) => {}
            decided => return decided.map(drop),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn names_are_looked_up_only_for_a_list_with_names() {
    let denied = Err(ErrorCode::PermanentResolverFailure);
    assert_eq!(look_up(&mut guest("\"127.0.0.1:80\""), "localhost").await, denied);
    assert_eq!(look_up(&mut guest("\"localhost:80\""), "localhost").await, Ok(()));
}

#[tokio::test]
async fn a_guest_does_not_listen() {
    let mut guest = guest("\"0.0.0.0/0:*\"");
    let network = instance_network::Host::instance_network(&mut guest.sockets()).unwrap();
    let family = IpAddressFamily::Ipv4;
    let socket = tcp_create_socket::Host::create_tcp_socket(&mut guest.sockets(), family);
    let socket = code(socket).unwrap();
    let socket = || wasmtime::component::Resource::new_borrow(socket.rep());
    let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let mut sockets = guest.sockets();
    let bound = HostTcpSocket::start_bind(&mut sockets, socket(), network, any.into()).await;
    assert_eq!(code(bound), Ok(()));
    assert_eq!(code(HostTcpSocket::finish_bind(&mut guest.sockets(), socket())), Ok(()));
    let listens = HostTcpSocket::start_listen(&mut guest.sockets(), socket()).await;
    assert_eq!(code(listens), Err(ErrorCode::AccessDenied));
}

#[tokio::test]
async fn guest_sends_datagrams_to_listed_peers_only() {
    let mut guest = guest("\"127.0.0.1:5353\"");
    let family = IpAddressFamily::Ipv4;
    let mut sockets = guest.sockets();
    let socket = udp_create_socket::Host::create_udp_socket(&mut sockets, family).await;
    let socket = code(socket).unwrap();
    let socket = || wasmtime::component::Resource::new_borrow(socket.rep());
    let network = instance_network::Host::instance_network(&mut guest.sockets()).unwrap();
    let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let mut sockets = guest.sockets();
    let bound = HostUdpSocket::start_bind(&mut sockets, socket(), network, any.into()).await;
    assert_eq!(code(bound), Ok(()));
    assert_eq!(code(HostUdpSocket::finish_bind(&mut guest.sockets(), socket())), Ok(()));
    let mut to = async |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        let streams =
            HostUdpSocket::stream(&mut guest.sockets(), socket(), Some(address.into())).await;
        code(streams).map(drop)
    };
    assert_eq!(to("127.0.0.1:5354").await, Err(ErrorCode::AccessDenied));
    assert_eq!(to("127.0.0.1:5353").await, Ok(()));
}
