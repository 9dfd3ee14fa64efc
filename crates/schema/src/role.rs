//! Roles that entries play for others: a reference asks for one role, and each kind plays at most one.

/// Role that a reference requires of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Folder with files.
    Folder,
    /// Function that can be called.
    Function,
    /// Variable with a value.
    Variable,
    /// Storage of variable values.
    Storage,
    /// Service that listens for HTTP requests.
    Service,
    /// Router of HTTP requests.
    Router,
}

impl Role {
    /// Returns the name for all kinds of this role together; `None` for roles whose kinds are listed one by
    /// one.
    pub(crate) fn family(self) -> Option<&'static str> {
        match self {
            Self::Storage => Some("env.storage.*"),
            Self::Folder | Self::Function | Self::Variable | Self::Service | Self::Router => None,
        }
    }
}
