//! Which peers the sockets of a guest may reach.

use std::net::SocketAddr;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{HostPattern, Network};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtx};

/// The sockets of a guest with this allow-list; none when it is empty, which is what a context without
/// any settings denies by itself.
pub(crate) fn sockets(network: &Network, _label: &EntryId) -> Option<WasiSocketsCtx> {
    if network.is_empty() {
        return None;
    }
    let names = |rule: &crisol_schema::NetworkRule| !matches!(rule.host, HostPattern::Net { .. });
    let lookup = network.rules().iter().any(names);
    let rules = Arc::new(network.clone());
    let mut builder = WasiCtx::builder();
    builder.allow_tcp(true).allow_udp(true).allow_ip_name_lookup(lookup);
    builder.socket_addr_check(move |address, purpose| {
        let allowed = allows(&rules, address, purpose);
        Box::pin(std::future::ready(allowed))
    });
    Some(builder.build().sockets().clone())
}

fn allows(rules: &Network, address: SocketAddr, purpose: SocketAddrUse) -> bool {
    match purpose {
        SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
            rules.allows_ip(address.ip(), address.port())
        }
        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
            address.port() == 0 && address.ip().is_unspecified()
        }
        SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
    }
}
