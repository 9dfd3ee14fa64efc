//! Variables and where their values are kept.

use std::collections::BTreeMap;

use crisol_core::EntryId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::decode::{Cx, Decode, FreeText, shape};
use crate::kind::KindName;
use crate::problems::Report;
use crate::reference::{Ref, Storage};
use crate::rule::Rule;
use crate::suggest;
use crate::values::{DirectoryPath, EnvName, FileMode};
use crate::yaml::{Data, Node};

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

impl EnvStorage {
    pub(super) fn kind_name(&self) -> KindName {
        match self {
            Self::Memory => KindName::EnvStorageMemory,
            Self::File { .. } => KindName::EnvStorageFile,
            Self::Os => KindName::EnvStorageOs,
            Self::Static { .. } => KindName::EnvStorageStatic,
            Self::Router { .. } => KindName::EnvStorageRouter,
        }
    }
}

/// A variable of the registry: `env.variable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvVariable {
    /// The storage that has the value; none for a variable that is its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<EntryId>,
    /// The name in the storage.
    pub variable: EnvName,
    /// The value when the storage has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether writing it is refused.
    pub readonly: bool,
}

/// Values by name, each as it is written.
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
        let value = FreeText::json_schema(generator);
        json_schema!({"type": "object", "additionalProperties": value})
    }
}

impl Decode for Values {
    const EXAMPLE: &'static str = "{LEVEL: debug}";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
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
                let value = FreeText::decode(&pair.value, cx);
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

shape! {
    /// Values in memory, empty at start: for what the program sets while it runs.
    pub(crate) struct StorageMemoryFields {}
}

shape! {
    /// Values of the host process's environment, read only.
    pub(crate) struct StorageOsFields {}
}

shape! {
    /// Values in a file of `NAME=value` lines (dotenv), written atomically.
    pub(crate) struct StorageFileFields {
        /// The file, relative to the app's folder and inside it, or absolute.
        path: DirectoryPath,
        /// Make the file when it is not there. Default: false.
        auto_init: Option<bool>,
        /// Permission bits of the file when it is made, in octal: `"0600"`.
        mode: Option<FileMode>,
    }
}

shape! {
    /// Values written here.
    pub(crate) struct StorageStaticFields {
        /// The values by name. Numbers and booleans are taken as they are written.
        values: Values,
    }
}

shape! {
    /// Several storages as one: the first that has a value gives it.
    pub(crate) struct StorageRouterFields {
        /// The storages, in the order they are asked.
        storages: Vec<Ref<Storage>>,
    }
}

shape! {
    /// A variable, for `wasi.env`.
    pub(crate) struct EnvVariableFields {
        /// The storage that has the value. Left out, the value is `default`.
        storage: Option<Ref<Storage>>,
        /// The name in the storage. Default: the entry's name.
        variable: Option<EnvName>,
        /// The value when the storage has none. Numbers and booleans are taken as they are written.
        default: Option<FreeText>,
        /// Refuse to write it. Default: false.
        readonly: Option<bool>,
    }
}

pub(super) fn storage(kind: KindName, node: &Node, cx: &mut Cx<'_>) -> Option<EnvStorage> {
    Some(match kind {
        KindName::EnvStorageFile => {
            let fields = StorageFileFields::decode(node, cx)?;
            let auto_init = fields.auto_init.unwrap_or(false);
            EnvStorage::File { path: fields.path, auto_init, mode: fields.mode }
        }
        KindName::EnvStorageOs => {
            StorageOsFields::decode(node, cx)?;
            EnvStorage::Os
        }
        KindName::EnvStorageStatic => {
            EnvStorage::Static { values: StorageStaticFields::decode(node, cx)?.values.0 }
        }
        KindName::EnvStorageRouter => router(node, cx)?,
        _ => {
            StorageMemoryFields::decode(node, cx)?;
            EnvStorage::Memory
        }
    })
}

fn router(node: &Node, cx: &mut Cx<'_>) -> Option<EnvStorage> {
    let fields = StorageRouterFields::decode(node, cx)?;
    let storages: Vec<EntryId> = fields.storages.into_iter().map(|storage| storage.id).collect();
    if storages.is_empty() {
        let report = Report::error(Rule::BAD_RANGE, "`storages` is empty")
            .help("name at least one `env.storage.*` entry");
        cx.within("storages", |cx| cx.report(node.place_of("storages"), report));
        return None;
    }
    Some(EnvStorage::Router { storages })
}

pub(super) fn variable(node: &Node, cx: &mut Cx<'_>) -> Option<EnvVariable> {
    let fields = EnvVariableFields::decode(node, cx);
    let meant = ["storage", "default"];
    let known = EnvVariableFields::FIELDS;
    let has_one = node.pairs().iter().filter(|pair| !pair.value.is_null()).any(|pair| {
        let key = if known.contains(&&*pair.key) {
            Some(&*pair.key)
        } else {
            // One that is misspelt is told of already.
            suggest::nearest_word(&pair.key, known)
        };
        key.is_some_and(|key| meant.contains(&key))
    });
    if !has_one {
        let message = "`env.variable` needs `storage` or `default`";
        let report = Report::error(Rule::MISSING_FIELD, message).help(
            "name the `env.storage.*` entry that has the value: `storage: namespace:storage`",
        );
        cx.within("storage", |cx| cx.report(node.span, report));
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
