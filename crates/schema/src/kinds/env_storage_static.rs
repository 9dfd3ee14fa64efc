//! Kind `env.storage.static`: variable values in the registry.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::definition::{EntryBody, KindDefinition};
use super::env_storage::{EnvStorage, UNUSED};
use crate::decode::{Decode, DecodeContext, ScalarText, shape};
use crate::role::Role;
use crate::values::EnvName;
use crate::yaml::{Data, Node};

/// `env.storage.static`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = EnvStorage;
    type Fields = StorageStaticFields;

    const ROLE: Option<Role> = Some(Role::Storage);
    const UNUSED: Option<&'static str> = UNUSED;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<EnvStorage> {
        Some(EnvStorage::Static { values: StorageStaticFields::decode(body.fields, cx)?.values.0 })
    }
}

shape! {
    /// Variable values in the index file.
    pub(crate) struct StorageStaticFields {
        /// Values by name. Numbers and booleans become text as written.
        values: Values,
    }
}

/// Values by name, each as written.
#[derive(Debug)]
pub(crate) struct Values(BTreeMap<EnvName, String>);

impl JsonSchema for Values {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = ScalarText::json_schema(generator);
        json_schema!({"type": "object", "additionalProperties": value})
    }
}

impl Decode for Values {
    const EXAMPLE: &'static str = "{LEVEL: debug}";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let Data::Map(pairs) = &node.data else {
            cx.wrong_type(node, "a map of names and values", Self::EXAMPLE);
            return None;
        };
        let mut values = Some(BTreeMap::new());
        for pair in pairs {
            let read = cx.within(&pair.key, |cx| {
                let name = pair.key.parse::<EnvName>().map_err(|bad| {
                    cx.report(pair.key_span, bad.report());
                });
                let value = ScalarText::decode(&pair.value, cx);
                Some((name.ok()?, value?.0))
            });
            match (read, &mut values) {
                (Some((name, value)), Some(values)) => drop(values.insert(name, value)),
                (None, _) => values = None,
                (Some(_), None) => {}
            }
        }
        values.map(Self)
    }
}
