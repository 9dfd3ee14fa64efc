//! Kind `env.storage.file`: variable values in a file.

use super::definition::{EntryBody, KindDefinition};
use super::env_storage::{EnvStorage, UNUSED};
use crate::decode::{Decode, DecodeContext, shape};
use crate::role::Role;
use crate::values::{DirectoryPath, FileMode};

/// `env.storage.file`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = EnvStorage;
    type Fields = StorageFileFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<EnvStorage> {
        let fields = StorageFileFields::decode(body.fields, cx)?;
        let auto_init = fields.auto_init.unwrap_or(false);
        Some(EnvStorage::File { path: fields.path, auto_init, mode: fields.mode })
    }
}

shape! {
    /// Variable values in a file of `NAME=value` lines (dotenv), written atomically.
    pub(crate) struct StorageFileFields {
        /// Path of the file: relative to the app's folder and inside it, or absolute.
        path: DirectoryPath,
        /// Creates the file if it is missing. Default: false.
        auto_init: Option<bool>,
        /// Permission bits of a created file, in octal: `"0600"`.
        mode: Option<FileMode>,
    }
}
