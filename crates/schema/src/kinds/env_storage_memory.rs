//! Kind `env.storage.memory`: variable values in memory.

use super::definition::{EntryBody, KindDefinition};
use super::env_storage::{EnvStorage, UNUSED};
use crate::decode::{Decode, DecodeContext, shape};
use crate::role::Role;

/// `env.storage.memory`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = EnvStorage;
    type Fields = StorageMemoryFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<EnvStorage> {
        StorageMemoryFields::decode(body.fields, cx)?;
        Some(EnvStorage::Memory)
    }
}

shape! {
    /// Variable values in memory, empty at start: for values that the program sets at run time.
    pub(crate) struct StorageMemoryFields {}
}
