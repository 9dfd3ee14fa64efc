//! Kind `env.storage.os`: variables of the host process's environment.

use super::definition::{EntryBody, KindDefinition};
use super::env_storage::{EnvStorage, UNUSED};
use crate::decode::{Decode, DecodeContext, shape};
use crate::role::Role;

/// `env.storage.os`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = EnvStorage;
    type Fields = StorageOsFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<EnvStorage> {
        StorageOsFields::decode(body.fields, cx)?;
        Some(EnvStorage::Os)
    }
}

shape! {
    /// Variables of the host process's environment, read-only.
    pub(crate) struct StorageOsFields {}
}
