//! Roles that entries play for others: a reference asks for one, and each kind plays at most one.

/// Role of the entries that a reference may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Has files.
    Folder,
    /// Can be called.
    Function,
    /// Has a value.
    Variable,
    /// Keeps values of variables.
    Storage,
    /// Listens for HTTP requests.
    Service,
    /// Routes HTTP requests.
    Router,
}

impl Role {
    /// Name of all kinds that play it, where they are not named one by one.
    pub(crate) fn family(self) -> Option<&'static str> {
        match self {
            Self::Storage => Some("env.storage.*"),
            Self::Folder | Self::Function | Self::Variable | Self::Service | Self::Router => None,
        }
    }
}
