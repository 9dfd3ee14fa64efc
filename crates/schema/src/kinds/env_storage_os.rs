//! Kind `env.storage.os`: variables of the host process's environment.

use super::env_storage::{EnvStorage, UNUSED};
use super::slice::{Body, Slice};
use crate::decode::{Cx, Decode, shape};
use crate::role::Role;

/// `env.storage.os`.
pub(super) enum This {}

impl Slice for This {
    type Value = EnvStorage;
    type Fields = StorageOsFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<EnvStorage> {
        StorageOsFields::decode(body.fields, cx)?;
        Some(EnvStorage::Os)
    }
}

shape! {
    /// Variables of the host process's environment, read-only.
    pub(crate) struct StorageOsFields {}
}
