//! Kind `env.storage.memory`: variable values in memory.

use super::env_storage::{EnvStorage, UNUSED};
use super::slice::{Body, Slice};
use crate::decode::{Cx, Decode, shape};
use crate::role::Role;

/// `env.storage.memory`.
pub(super) enum This {}

impl Slice for This {
    type Value = EnvStorage;
    type Fields = StorageMemoryFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<EnvStorage> {
        StorageMemoryFields::decode(body.fields, cx)?;
        Some(EnvStorage::Memory)
    }
}

shape! {
    /// Variable values in memory, empty at start: for values that the program sets at run time.
    pub(crate) struct StorageMemoryFields {}
}
