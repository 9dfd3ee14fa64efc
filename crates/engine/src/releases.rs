//! Releases of the interfaces that the host implements.

use semver::Version;

/// The releases of WASI that the host implements.
pub(crate) const WASI_0_2: Version = Version::new(0, 2, 12);
pub(crate) const WASI_0_3: Version = Version::new(0, 3, 0);

/// The releases of what the host implements, WASI and functions of its own, as its definitions carry them in their names. Guests
/// built against another version that agrees in its first two numbers link to them all the same: that is
/// the component model's rule for versions.
static RELEASES: [Release; 3] = [
    Release {
        of: "WASI",
        version: WASI_0_2,
        interfaces: &[
            "wasi:cli/environment",
            "wasi:cli/exit",
            "wasi:cli/stderr",
            "wasi:cli/stdin",
            "wasi:cli/stdout",
            "wasi:cli/terminal-input",
            "wasi:cli/terminal-output",
            "wasi:cli/terminal-stderr",
            "wasi:cli/terminal-stdin",
            "wasi:cli/terminal-stdout",
            "wasi:clocks/monotonic-clock",
            "wasi:clocks/wall-clock",
            "wasi:filesystem/preopens",
            "wasi:filesystem/types",
            "wasi:http/outgoing-handler",
            "wasi:http/types",
            "wasi:io/error",
            "wasi:io/poll",
            "wasi:io/streams",
            "wasi:random/insecure",
            "wasi:random/insecure-seed",
            "wasi:random/random",
            "wasi:sockets/instance-network",
            "wasi:sockets/ip-name-lookup",
            "wasi:sockets/network",
            "wasi:sockets/tcp",
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp",
            "wasi:sockets/udp-create-socket",
        ],
    },
    Release { of: "crisol:runtime", version: Version::new(0, 1, 0), interfaces: FUNCS },
    Release {
        of: "WASI",
        version: WASI_0_3,
        interfaces: &[
            "wasi:cli/environment",
            "wasi:cli/exit",
            "wasi:cli/stderr",
            "wasi:cli/stdin",
            "wasi:cli/stdout",
            "wasi:cli/terminal-input",
            "wasi:cli/terminal-output",
            "wasi:cli/terminal-stderr",
            "wasi:cli/terminal-stdin",
            "wasi:cli/terminal-stdout",
            "wasi:cli/types",
            "wasi:clocks/monotonic-clock",
            "wasi:clocks/system-clock",
            "wasi:clocks/types",
            "wasi:filesystem/preopens",
            "wasi:filesystem/types",
            "wasi:http/client",
            "wasi:http/types",
            "wasi:random/insecure",
            "wasi:random/insecure-seed",
            "wasi:random/random",
            "wasi:sockets/ip-name-lookup",
            "wasi:sockets/types",
        ],
    },
];

/// Both interfaces of `funcs`, without their version.
const FUNCS: &[&str] = &["crisol:runtime/funcs", "wippy:runtime/funcs"];

struct Release {
    /// Of which it is one, for messages.
    of: &'static str,
    version: Version,
    /// Without their version, in order.
    interfaces: &'static [&'static str],
}

/// The first release whose functions may be asynchronous.
const FIRST_ASYNC: (u64, u64) = (0, 3);

impl Release {
    fn serves(&self, import: &str) -> Option<&'static str> {
        let (name, version) = import.split_once('@')?;
        let at = self.interfaces.binary_search(&name).ok()?;
        let version = Version::parse(version).ok()?;
        is_compatible(&self.version, &version).then(|| self.interfaces[at])
    }
}

/// Whether what is made for one of two versions works with the other: the rule of semantic versions, which the
/// component model has for imports, too.
pub(crate) fn is_compatible(one: &Version, other: &Version) -> bool {
    fn line(version: &Version) -> (u64, u64, u64, &str) {
        let Version { major, minor, patch, pre, .. } = version;
        match (major, minor, pre.is_empty()) {
            (_, _, false) => (*major, *minor, *patch, pre.as_str()),
            (0, 0, _) => (0, 0, *patch, ""),
            (0, _, _) => (0, *minor, 0, ""),
            _ => (*major, 0, 0, ""),
        }
    }
    line(one) == line(other)
}

/// Every interface that the host implements in some release, without its version.
pub(crate) fn host_interfaces() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().flat_map(|release| release.interfaces).copied()
}

/// The host interface that an import such as `wasi:clocks/wall-clock@0.2.3` is served by, without its
/// version: `None` when the host has none of that name, or only one of an incompatible version.
#[must_use]
pub fn interface_of(import: &str) -> Option<&'static str> {
    RELEASES.iter().find_map(|release| release.serves(import))
}

/// The name under which the host defines what serves `import`: that of its own version.
pub(crate) fn definition_of(import: &str) -> Option<String> {
    RELEASES.iter().find_map(|release| {
        let interface = release.serves(import)?;
        Some(format!("{interface}@{}", release.version))
    })
}

/// Whether `import` is of a WASI whose functions may be asynchronous: 0.3, whatever follows.
pub(crate) fn is_asynchronous(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    let version = Version::parse(version);
    name.starts_with("wasi:") && version.is_ok_and(|v| (v.major, v.minor) >= FIRST_ASYNC)
}

/// What the host implements and in which versions, for messages.
pub(crate) fn versions() -> String {
    let one = |release: &Release| format!("{} {}", release.of, release.version);
    RELEASES.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether `interface`, a name without version, is one of `funcs`.
pub(crate) fn is_funcs(interface: &str) -> bool {
    FUNCS.contains(&interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_finds_the_host_interface_of_a_compatible_version() {
        assert!(RELEASES.iter().all(|release| release.interfaces.is_sorted()));
        let clock = Some("wasi:clocks/wall-clock");
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.2.0"), clock);
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.2.99"), clock);
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.3.0"), None, "0.3 has no such clock");
        assert_eq!(
            interface_of("wasi:clocks/system-clock@0.3.1"),
            Some("wasi:clocks/system-clock")
        );
        assert_eq!(interface_of("wasi:clocks/system-clock@0.2.0"), None);
        let newer = definition_of("wasi:random/random@0.3.7");
        assert_eq!(newer.as_deref(), Some("wasi:random/random@0.3.0"));
        let older = definition_of("wasi:random/random@0.2.0");
        assert_eq!(older.as_deref(), Some("wasi:random/random@0.2.12"));
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.2.0-rc-2023-11-10"), None);
        assert_eq!(interface_of("wasi:clocks/wall-clock"), None);
        assert_eq!(interface_of("wasi:nn/graph@0.2.0"), None);
    }
}
