//! Peer of a connection, and the key that identifies a client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Address of a connection's peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A program on this machine, over a Unix socket. It has no address of its own.
    Unix,
}

impl Peer {
    /// Address and port of a TCP peer.
    #[must_use]
    pub fn tcp(self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(addr),
            Self::Unix => None,
        }
    }

    /// Key by which limits per client count this peer. All peers of Unix sockets are one client, `::1`, which no
    /// TCP client has, since keys of IPv6 are whole /64 networks.
    pub(crate) fn client(self) -> IpAddr {
        self.tcp().map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), |addr| client(addr.ip()))
    }
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Identifies a client by its IPv4 address, or by the /64 network of its IPv6 address.
pub(crate) fn client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_network_of_addresses() {
        let v6 = |text: &str| text.parse::<IpAddr>().map(client);
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), v6("10.0.0.1"));
    }

    #[test]
    fn unix_peers_are_one_client() {
        assert_eq!(Peer::Unix.client(), Peer::Unix.client());
        for tcp in [IpAddr::from([127, 0, 0, 1]), Ipv6Addr::LOCALHOST.into()] {
            assert_ne!(Peer::Unix.client(), Peer::Tcp((tcp, 1).into()).client());
        }
    }
}
