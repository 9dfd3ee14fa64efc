//! Addresses that services listen on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use super::form::{InvalidValue, text_value};
use crate::rule::Rule;
use crate::yaml::quote;

/// Maximum length of a Unix socket's path, in bytes. Linux has 108 bytes, with a NUL at the end.
const LONGEST_PATH: usize = 107;

/// Address that a service listens on: a host and a port, or the path of a Unix socket. An address without a
/// host (`:8080`) means every address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenAddr(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Tcp { host: Box<str>, port: u16 },
    Unix(Box<str>),
}

/// Set of addresses on which a socket accepts connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum AddressSet {
    /// All IPv6 and IPv4 addresses.
    Every,
    /// All IPv4 addresses.
    EveryV4,
    /// One address.
    One(IpAddr),
    /// A host name in lower case, whose addresses are unknown here.
    Name(String),
}

impl ListenAddr {
    /// Returns host and port; `None` for a Unix socket. The host is a name, an address without brackets, or
    /// empty for every address. With port 0 the system chooses a port.
    #[must_use]
    pub fn tcp(&self) -> Option<(&str, u16)> {
        match &self.0 {
            Form::Tcp { host, port } => Some((host, *port)),
            Form::Unix(_) => None,
        }
    }

    /// Returns the absolute path of a Unix socket.
    #[must_use]
    pub fn unix(&self) -> Option<&Path> {
        match &self.0 {
            Form::Tcp { .. } => None,
            Form::Unix(path) => Some(Path::new(path.as_ref())),
        }
    }

    /// Returns the addresses of the host; `None` for a Unix socket.
    pub(crate) fn address_set(&self) -> Option<AddressSet> {
        let (host, _) = self.tcp()?;
        if host.is_empty() {
            return Some(AddressSet::Every);
        }
        Some(match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => AddressSet::Every,
            Ok(IpAddr::V4(ip)) if ip.is_unspecified() => AddressSet::EveryV4,
            Ok(ip) => AddressSet::One(ip),
            Err(_) => AddressSet::Name(host.to_ascii_lowercase()),
        })
    }
}

impl FromStr for ListenAddr {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bad = |why: &str| {
            let message = format!("{} is not an address to listen on: {why}", quote(text));
            let help = "write `host:port`, such as `127.0.0.1:8080`, `:8080` for every address, or `unix:/path` for a \
                        Unix socket";
            InvalidValue::new(Rule::BAD_FORM, message, help)
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| bad("the port is missing"))?;
        if let Some(path) = text.strip_prefix("unix:")
            && (path.starts_with('/') || port.parse::<u16>().is_err())
        {
            return unix(path).map_err(bad);
        }
        let port = port.parse().map_err(|_| bad("the port is not a number from 0 to 65535"))?;
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let good = match inner {
            Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
            None => host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
        };
        if !good || host.len() > 253 {
            return Err(bad("the host is neither a name nor an address (write IPv6 in brackets)"));
        }
        Ok(Self(Form::Tcp { host: inner.unwrap_or(host).into(), port }))
    }
}

fn unix(path: &str) -> Result<ListenAddr, &'static str> {
    if !path.starts_with('/') {
        return Err("the path of a Unix socket must begin with `/`");
    }
    if path.ends_with('/') || path.chars().any(char::is_control) {
        return Err("the path of a Unix socket must name a file");
    }
    if path.len() > LONGEST_PATH {
        return Err("the path of a Unix socket is over 107 bytes long");
    }
    Ok(ListenAddr(Form::Unix(path.into())))
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Form::Tcp { host, port } => write!(f, "{host}:{port}"),
            Form::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

text_value!(ListenAddr, "an address `host:port`", "127.0.0.1:8080", { "type": "string", "pattern": "^unix:/|:[0-9]{1,5}$" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_has_an_absolute_path_that_the_system_takes() -> Result<(), InvalidValue> {
        let addr: ListenAddr = "unix:/run/app.sock".parse()?;
        assert_eq!(addr.unix(), Some(Path::new("/run/app.sock")));
        assert_eq!(addr.to_string(), "unix:/run/app.sock");
        assert_eq!("unix:/a:80".parse::<ListenAddr>()?.unix(), Some(Path::new("/a:80")));
        // Any name is a valid host, even `unix`.
        assert_eq!("unix:80".parse::<ListenAddr>()?.tcp(), Some(("unix", 80)));
        let long = format!("unix:/{}", "a".repeat(LONGEST_PATH));
        for wrong in ["unix:", "unix:app.sock", "unix:./a", "unix:/", "unix:/run/", &long] {
            assert!(wrong.parse::<ListenAddr>().is_err(), "{wrong}");
        }
        assert!(long[..long.len() - 1].parse::<ListenAddr>().is_ok());
        Ok(())
    }

    #[test]
    fn an_address_has_one_extent_however_it_is_written() -> Result<(), InvalidValue> {
        let address_set = |text: &str| text.parse::<ListenAddr>().map(|addr| addr.address_set());
        assert_eq!(address_set("[::1]:80")?, address_set("[0:0:0:0:0:0:0:1]:80")?);
        assert_eq!(address_set("127.0.0.1:80")?, address_set("[::ffff:127.0.0.1]:80")?);
        assert_eq!(address_set(":80")?, Some(AddressSet::Every));
        assert_eq!(address_set("[::]:80")?, Some(AddressSet::Every));
        assert_eq!(address_set("0.0.0.0:80")?, Some(AddressSet::EveryV4));
        assert_eq!(address_set("A.example:80")?, address_set("a.example:80")?);
        assert_eq!(address_set("unix:/a")?, None);
        Ok(())
    }
}
