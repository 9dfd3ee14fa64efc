//! Names and versions of host interfaces.

use std::borrow::Cow;

use semver::Version;

/// A release of interfaces that one capability serves.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// Name of the release's family, for messages.
    pub(crate) family: &'static str,
    /// The version of all its interfaces. `None` serves imports without a version.
    pub(crate) version: Option<Version>,
    pub(crate) interfaces: Cow<'static, [Interface]>,
}

/// A host interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The name without version, such as `wasi:clocks/wall-clock`. Its package is the token that grants it, unless the
    /// registry has another one.
    pub(crate) name: Cow<'static, str>,
    /// Treatment of its functions where it is not granted.
    pub(crate) ungranted: Ungranted,
}

/// Treatment of a host function whose interface is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ungranted {
    /// Served without a grant: it only writes output, or uses handles that the guest already has.
    Served,
    /// Returns an empty list, none or zero if the type has such a value, which is true for a guest without grants.
    Empty,
    /// Fails the call.
    Denied,
}

/// An interface that is served without a grant.
pub(crate) const fn served(name: &'static str) -> Interface {
    Interface { name: Cow::Borrowed(name), ungranted: Ungranted::Served }
}

/// An interface that is empty without a grant.
pub(crate) const fn empty(name: &'static str) -> Interface {
    Interface { name: Cow::Borrowed(name), ungranted: Ungranted::Empty }
}

/// An interface whose functions fail the call without a grant.
pub(crate) const fn denied(name: &'static str) -> Interface {
    Interface { name: Cow::Borrowed(name), ungranted: Ungranted::Denied }
}

impl Release {
    /// Finds the interface that serves an import, by its parsed name.
    pub(crate) fn serving(&self, bare: &str, version: Option<&Version>) -> Option<&Interface> {
        let is_served = match (&self.version, version) {
            (None, None) => true,
            (Some(own), Some(imported)) => is_compatible(own, imported),
            _ => false,
        };
        self.interfaces.iter().find(|interface| is_served && interface.name == bare)
    }
}

/// Splits the name of an import into the name without version, and the version.
pub(crate) fn parse(import: &str) -> Option<(&str, Option<Version>)> {
    match import.split_once('@') {
        Some((bare, version)) => Some((bare, Some(Version::parse(version).ok()?))),
        None => Some((import, None)),
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

/// The first release of WASI whose functions may be asynchronous.
const FIRST_ASYNC: (u64, u64) = (0, 3);

/// Returns true if `import` is of a WASI with asynchronous functions: 0.3 or later.
pub(crate) fn is_asynchronous(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    let version = Version::parse(version);
    name.starts_with("wasi:") && version.is_ok_and(|v| (v.major, v.minor) >= FIRST_ASYNC)
}
