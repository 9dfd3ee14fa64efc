//! Kind `env.storage.router`: a chain of storages.

use crisol_core::EntryId;

use super::env_storage::{EnvStorage, UNUSED};
use super::slice::{Body, Slice};
use crate::decode::{Cx, Decode, shape};
use crate::problems::Report;
use crate::reference::{Ref, Storage};
use crate::role::Role;
use crate::rule::Rule;

/// `env.storage.router`.
pub(super) enum This {}

impl Slice for This {
    type Value = EnvStorage;
    type Fields = StorageRouterFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<EnvStorage> {
        let fields = StorageRouterFields::decode(body.fields, cx)?;
        let storages: Vec<EntryId> =
            fields.storages.into_iter().map(|storage| storage.id).collect();
        if storages.is_empty() {
            let report = Report::error(Rule::BAD_RANGE, "`storages` is empty")
                .help("name at least one `env.storage.*` entry");
            cx.within("storages", |cx| cx.report(body.fields.place_of("storages"), report));
            return None;
        }
        Some(EnvStorage::Router { storages })
    }
}

shape! {
    /// Chain of storages: the first one with a value wins.
    pub(crate) struct StorageRouterFields {
        /// Storages in lookup order. Writes go to the first storage that accepts them.
        storages: Vec<Ref<Storage>>,
    }
}
