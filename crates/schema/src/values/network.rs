//! Allow-lists of network peers: `api.example.com:443`, `10.0.0.0/8:*`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;

use super::form::{InvalidValue, text_value};
use crate::rule::Rule;
use crate::yaml::quote;

/// Hosts of a [`NetworkRule`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One name, in lower case.
    Name(Box<str>),
    /// All subdomains of a name, `*.example.com`; stored without the `*.`.
    Below(Box<str>),
    /// Addresses of a network. A single address is a network with all its bits.
    Net {
        /// Network address, with its host bits zero.
        address: IpAddr,
        /// Number of network bits.
        bits: u8,
    },
    /// Every host, `*`.
    Any,
}

/// Ports of a [`NetworkRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortPattern {
    /// Every port, `*`.
    Any,
    /// One port.
    One(u16),
}

/// One rule of an allow-list: hosts and ports.
///
/// ```
/// let rule: crisol_schema::NetworkRule = "10.0.0.0/8:*".parse()?;
/// assert!(rule.allows_ip("10.1.2.3".parse()?, 443));
/// assert!(!rule.allows_ip("11.1.2.3".parse()?, 443));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetworkRule {
    /// Allowed hosts.
    pub host: HostPattern,
    /// Allowed ports.
    pub port: PortPattern,
}

impl PortPattern {
    /// Returns true if the pattern includes a port.
    #[must_use]
    pub fn allows(self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == port,
        }
    }
}

impl NetworkRule {
    /// Returns true if the rule allows a host name with a port. The addresses that the name resolves to are a
    /// separate question: see [`Network`].
    #[must_use]
    pub fn allows_name(&self, name: &str, port: u16) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let host = match &self.host {
            HostPattern::Name(own) => **own == *name,
            HostPattern::Below(own) => {
                name.strip_suffix(&**own).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            HostPattern::Net { .. } => false,
            HostPattern::Any => true,
        };
        host && self.port.allows(port)
    }

    /// Returns true if the rule lists an address with a port.
    #[must_use]
    pub fn allows_ip(&self, ip: IpAddr, port: u16) -> bool {
        let host = match &self.host {
            HostPattern::Net { address, bits } => {
                masked(ip.to_canonical(), *bits) == Some(*address)
            }
            HostPattern::Any => true,
            HostPattern::Name(_) | HostPattern::Below(_) => false,
        };
        host && self.port.allows(port)
    }
}

/// Network peers that a function may reach; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Network(Vec<NetworkRule>);

impl Network {
    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &[NetworkRule] {
        &self.0
    }

    /// Returns true if nothing may be reached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if a rule lists this name and port.
    #[must_use]
    pub fn allows_name(&self, name: &str, port: u16) -> bool {
        self.0.iter().any(|rule| rule.allows_name(name, port))
    }

    /// Returns true if a rule lists this address and port.
    #[must_use]
    pub fn allows_ip(&self, ip: IpAddr, port: u16) -> bool {
        self.0.iter().any(|rule| rule.allows_ip(ip, port))
    }
}

impl FromIterator<NetworkRule> for Network {
    fn from_iter<I: IntoIterator<Item = NetworkRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// Returns an address with all but its first bits zero; `None` for too many bits.
fn masked(ip: IpAddr, bits: u8) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Some(IpAddr::V4((u32::from(ip) & mask).into()))
        }
        IpAddr::V6(ip) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Some(IpAddr::V6((u128::from(ip) & mask).into()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Parses an address or a network; `None` for other text. Its bits refer to its own family. IPv4 rules match
/// IPv4 addresses, and `::ffff:10.0.0.1` matches as `10.0.0.1`.
fn net(text: &str) -> Result<Option<HostPattern>, &'static str> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return if bits.is_some() {
            Err("the text before the `/` is not an address")
        } else {
            Ok(None)
        };
    };
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let bits = match bits.map(str::parse::<u8>) {
        None => max,
        Some(Ok(bits)) if bits <= max => bits,
        Some(_) => return Err("the prefix length after the `/` is out of range"),
    };
    let address = masked(ip, bits).ok_or("the prefix length after the `/` is out of range")?;
    if address != ip {
        return Err("the address has host bits set");
    }
    Ok(Some(HostPattern::Net { address, bits }))
}

fn host(text: &str) -> Result<HostPattern, &'static str> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner.split_once(']').ok_or("the `[` has no closing `]`")?;
        return net(&format!("{address}{rest}"))?
            .ok_or("the text in the brackets is not an address");
    }
    if let Some(net) = net(text)? {
        return Ok(net);
    }
    let (below, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = name.to_ascii_lowercase();
    if name.len() > 253 || !name.split('.').all(label) {
        return Err("the host is neither a name nor an address");
    }
    Ok(if below { HostPattern::Below(name.into()) } else { HostPattern::Name(name.into()) })
}

impl FromStr for NetworkRule {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bad = |why: &str| {
            let message = format!("{} is not a network peer: {why}", quote(text));
            let help = "write `host:port`, such as `api.example.com:443`, `*.example.com:443`, \
                        `10.0.0.0/8:*` or `[2001:db8::]/32:443`";
            InvalidValue::new(Rule::BAD_FORM, message, help)
        };
        let (before, port) = text.rsplit_once(':').ok_or_else(|| bad("the port is missing"))?;
        if before.contains(':') && !before.starts_with('[') {
            return Err(bad("an IPv6 address must be in brackets"));
        }
        let port = match port {
            "*" => PortPattern::Any,
            digits => match digits.parse::<u16>() {
                Ok(port) if port > 0 => PortPattern::One(port),
                _ => return Err(bad("the port is neither a number from 1 to 65535 nor `*`")),
            },
        };
        Ok(Self { host: host(before).map_err(bad)?, port })
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Name(name) => f.write_str(name)?,
            HostPattern::Below(name) => write!(f, "*.{name}")?,
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Net { address: IpAddr::V4(ip), bits: 32 } => write!(f, "{ip}")?,
            HostPattern::Net { address: IpAddr::V4(ip), bits } => write!(f, "{ip}/{bits}")?,
            HostPattern::Net { address: IpAddr::V6(ip), bits: 128 } => write!(f, "[{ip}]")?,
            HostPattern::Net { address: IpAddr::V6(ip), bits } => write!(f, "[{ip}]/{bits}")?,
        }
        match self.port {
            PortPattern::Any => f.write_str(":*"),
            PortPattern::One(port) => write!(f, ":{port}"),
        }
    }
}

text_value!(NetworkRule, "text", "api.example.com:443", {
    "type": "string",
    "pattern": "^.+:([0-9]{1,5}|\\*)$"
});
