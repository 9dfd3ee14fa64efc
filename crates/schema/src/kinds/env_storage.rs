//! Storages of variables, whatever keeps their values.

use std::collections::BTreeMap;

use crisol_core::EntryId;
use serde::Serialize;

use super::slice::Content;
use crate::values::{DirectoryPath, EnvName, FileMode};

/// Where values of variables are kept: `env.storage.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnvStorage {
    /// In a file of `NAME=value` lines.
    File {
        /// The file, relative to the app, or absolute.
        path: DirectoryPath,
        /// Whether the file is made when it is not there.
        auto_init: bool,
        /// Permission bits of the file when it is made.
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<FileMode>,
    },
    /// In the registry itself.
    Static {
        /// The values by name.
        values: BTreeMap<EnvName, String>,
    },
    /// In others, the first that has a value.
    Router {
        /// The storages, in the order they are asked; writes go to the first that takes them.
        storages: Vec<EntryId>,
    },
    /// In memory, empty at start.
    #[serde(serialize_with = "no_fields")]
    Memory,
    /// In the environment of the host process, read only.
    #[serde(serialize_with = "no_fields")]
    Os,
}

fn no_fields<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serde::ser::SerializeMap::end(serializer.serialize_map(Some(0))?)
}

impl Content for EnvStorage {
    fn asks(&self) -> &[EntryId] {
        match self {
            Self::Router { storages } => storages,
            Self::File { .. } | Self::Static { .. } | Self::Memory | Self::Os => &[],
        }
    }
}

/// Help for a storage that nothing uses.
pub(super) const UNUSED: Option<&str> = Some("name it in `storage` of an `env.variable`");
