//! Kind `env.variable`: a variable with a storage or a default.

use crisol_core::{EntryId, suggest};
use serde::Serialize;

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, ScalarText, shape};
use crate::problems::Report;
use crate::reference::{Ref, Storage};
use crate::role::Role;
use crate::rule::Rule;
use crate::values::EnvName;

/// A variable of the registry: `env.variable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvVariable {
    /// Storage of the value; `None` for a variable that only has a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<EntryId>,
    /// Name of the variable in the storage.
    pub variable: EnvName,
    /// Value if the storage has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// True to refuse writes.
    pub readonly: bool,
}

/// `env.variable`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = EnvVariable;
    type Fields = EnvVariableFields;

    const ROLE: Option<Role> = Some(Role::Variable);
    const UNUSED: Option<&'static str> = Some("use it in `wasi.env` of a function or in `tls`");

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<EnvVariable> {
        let fields = EnvVariableFields::decode(body.fields, cx);
        let meant = ["storage", "default"];
        let known = EnvVariableFields::FIELDS;
        let has_one = body.fields.pairs().iter().filter(|pair| !pair.value.is_null()).any(|pair| {
            let key = if known.contains(&&*pair.key) {
                Some(&*pair.key)
            } else {
                // A misspelt field is reported already.
                suggest::nearest_word(&pair.key, known)
            };
            key.is_some_and(|key| meant.contains(&key))
        });
        if !has_one {
            let message = "`env.variable` needs `storage` or `default`";
            let report = Report::error(Rule::MISSING_FIELD, message).help(
                "name the `env.storage.*` entry that has the value: `storage: namespace:storage`",
            );
            cx.within("storage", |cx| cx.report(body.fields.span, report));
            return None;
        }
        let fields = fields?;
        let own_name = cx.entry.as_ref().and_then(|id| id.name().parse().ok());
        Some(EnvVariable {
            storage: fields.storage.map(|storage| storage.id),
            variable: fields.variable.or(own_name)?,
            default: fields.default.map(|default| default.0),
            readonly: fields.readonly.unwrap_or(false),
        })
    }
}

impl KindContent for EnvVariable {}

shape! {
    /// A variable that `wasi.env` can pass to a guest.
    pub(crate) struct EnvVariableFields {
        /// Storage of the value. Without it the value is `default`.
        storage: Option<Ref<Storage>>,
        /// Name of the variable in the storage. Default: the entry's name.
        variable: Option<EnvName>,
        /// Value if the storage has none. Numbers and booleans become text as written.
        default: Option<ScalarText>,
        /// Refuses writes. Default: false.
        readonly: Option<bool>,
    }
}
