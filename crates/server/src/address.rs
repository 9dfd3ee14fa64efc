//! Addresses to listen on: TCP or a Unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Address that a service listens on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// Address and port; port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Address and port of a TCP address.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// True if the system chooses the port.
    pub(crate) fn is_any_port(&self) -> bool {
        matches!(self, Self::Tcp(addr) if addr.port() == 0)
    }

    /// True if a client could reach either address: the same path, or the same port with one IP address covering
    /// the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(two)) => one == two,
            (Self::Tcp(one), Self::Tcp(two)) => {
                let port = one.port();
                port != 0
                    && port == two.port()
                    && (takes_in(one.ip(), two.ip()) || takes_in(two.ip(), one.ip()))
            }
            _ => false,
        }
    }
}

/// True if a socket on `wide` receives connections to `ip`. `::` also receives IPv4.
fn takes_in(wide: IpAddr, ip: IpAddr) -> bool {
    let (wide, ip) = (wide.to_canonical(), ip.to_canonical());
    wide == ip || wide.is_unspecified() && (wide.is_ipv6() || ip.is_ipv4())
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(one: &str, two: &str) -> Result<bool, std::net::AddrParseError> {
        let (one, two) = (Address::Tcp(one.parse()?), Address::Tcp(two.parse()?));
        assert_eq!(one.overlaps(&two), two.overlaps(&one));
        Ok(one.overlaps(&two))
    }

    #[test]
    fn addresses_overlap_where_a_client_can_mean_both() -> Result<(), std::net::AddrParseError> {
        let both = [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "0.0.0.0:80"),
            ("127.0.0.1:80", "[::]:80"),
            ("[::1]:80", "[::]:80"),
            ("0.0.0.0:80", "[::]:80"),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80"),
        ];
        for (one, two) in both {
            assert!(overlap(one, two)?, "{one} {two}");
        }
        let neither = [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("0.0.0.0:80", "[::1]:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ];
        for (one, two) in neither {
            assert!(!overlap(one, two)?, "{one} {two}");
        }
        Ok(())
    }
}
