//! Value type shared by all kinds of variable storages.

use std::collections::BTreeMap;

use crisol_core::EntryId;
use serde::Serialize;

use super::definition::KindContent;
use crate::values::{DirectoryPath, EnvName, FileMode};

/// Storage of variable values: `env.storage.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnvStorage {
    /// File of `NAME=value` lines.
    File {
        /// Path of the file: relative to the app, or absolute.
        path: DirectoryPath,
        /// True to create the file if it is missing.
        auto_init: bool,
        /// Permission bits of a created file.
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<FileMode>,
    },
    /// Values in the registry.
    Static {
        /// Values by name.
        values: BTreeMap<EnvName, String>,
    },
    /// Chain of storages; the first one with a value wins.
    Router {
        /// Storages in lookup order. Writes go to the first storage that accepts them.
        storages: Vec<EntryId>,
    },
    /// In memory, empty at start.
    #[serde(serialize_with = "no_fields")]
    Memory,
    /// Environment of the host process, read-only.
    #[serde(serialize_with = "no_fields")]
    Os,
}

fn no_fields<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serde::ser::SerializeMap::end(serializer.serialize_map(Some(0))?)
}

impl KindContent for EnvStorage {
    fn delegates_to(&self) -> &[EntryId] {
        match self {
            Self::Router { storages } => storages,
            Self::File { .. } | Self::Static { .. } | Self::Memory | Self::Os => &[],
        }
    }
}

/// Help for an unused storage.
pub(super) const UNUSED: Option<&str> = Some("use it in `storage` of an `env.variable`");
