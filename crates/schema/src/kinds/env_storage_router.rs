//! Kind `env.storage.router`: a chain of storages.

use crisol_core::EntryId;

use super::definition::{EntryBody, KindDefinition};
use super::env_storage::{EnvStorage, UNUSED};
use crate::decode::{Decode, DecodeContext, shape};
use crate::problems::Report;
use crate::reference::{Ref, Storage};
use crate::role::Role;
use crate::rule::Rule;

/// `env.storage.router`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = EnvStorage;
    type Fields = StorageRouterFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<EnvStorage> {
        let fields = StorageRouterFields::decode(body.fields, cx)?;
        let storages: Vec<EntryId> =
            fields.storages.into_iter().map(|storage| storage.id).collect();
        if storages.is_empty() {
            let report = Report::error(Rule::BAD_RANGE, "`storages` is empty")
                .help("name at least one `env.storage.*` entry");
            cx.within("storages", |cx| cx.report(body.fields.span_of("storages"), report));
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
