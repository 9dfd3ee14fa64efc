//! The error of a call that an entry's grants do not cover.

/// A guest's call of a function that it was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest called `{interface}#{function}`, which it was not granted")]
#[non_exhaustive]
pub struct Denial {
    /// The interface, as the guest imports it; empty for a top-level function.
    pub interface: String,
    /// The function's name.
    pub function: String,
    /// True if the host has this function and links it once the entry is granted it.
    pub offered: bool,
    /// The host interface to grant, if its name differs from `interface`.
    pub grant: Option<&'static str>,
    /// The reason that no grant serves it, if known.
    pub reason: Option<String>,
}
