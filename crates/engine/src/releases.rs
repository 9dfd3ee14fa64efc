//! Releases of the interfaces that the host implements.

use semver::Version;

/// The WASI releases that the host implements.
pub(crate) const WASI_0_2: Version = Version::new(0, 2, 12);
pub(crate) const WASI_0_3: Version = Version::new(0, 3, 0);

/// The releases of all interfaces that the host implements, WASI and its own, as in the names of its
/// definitions. By the component model's rule, guests built against another version with the same first two
/// numbers link to them, too.
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

/// Both `funcs` interfaces, without version.
const FUNCS: &[&str] = &["crisol:runtime/funcs", "wippy:runtime/funcs"];

struct Release {
    /// Name of the release's family, for messages.
    of: &'static str,
    version: Version,
    /// Interface names without version, sorted.
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

/// Returns true if two versions are compatible by semantic versioning, which the component model also uses for
/// imports.
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

/// The host interface, without version, that serves an import such as `wasi:clocks/wall-clock@0.2.3`. `None`
/// if the host has none of that name, or only one of an incompatible version.
#[must_use]
pub fn interface_of(import: &str) -> Option<&'static str> {
    RELEASES.iter().find_map(|release| release.serves(import))
}

/// The name of the host's definition that serves `import`, with the host's own version.
pub(crate) fn definition_of(import: &str) -> Option<String> {
    RELEASES.iter().find_map(|release| {
        let interface = release.serves(import)?;
        Some(format!("{interface}@{}", release.version))
    })
}

/// Returns true if `import` is of a WASI with asynchronous functions: 0.3 or later.
pub(crate) fn is_asynchronous(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    let version = Version::parse(version);
    name.starts_with("wasi:") && version.is_ok_and(|v| (v.major, v.minor) >= FIRST_ASYNC)
}

/// Lists the implemented releases with their versions, for messages.
pub(crate) fn versions() -> String {
    let one = |release: &Release| format!("{} {}", release.of, release.version);
    RELEASES.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns true if `interface`, a name without version, is one of the `funcs` interfaces.
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
