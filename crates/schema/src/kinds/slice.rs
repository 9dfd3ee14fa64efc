//! Traits of a kind: [`Slice`] describes and reads the kind, [`Content`] answers questions about its values.

use std::path::Path;

use crisol_core::EntryId;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use crate::decode::Cx;
use crate::parts::{Above, Answers, Code, Seat};
use crate::role::Role;
use crate::values::{CommandName, ListenAddr, Sha256Hash};
use crate::yaml::Node;

/// Parts of an entry that its kind reads.
pub(crate) struct Body<'n> {
    /// The kind's own fields.
    pub(crate) fields: &'n Node,
    pub(crate) meta: Option<&'n Node>,
}

/// A kind of entry: its fields, role and reader.
pub(super) trait Slice {
    /// Validated value of an entry of this kind.
    type Value: Content;
    /// Fields as written. Their JSON Schema, with its description, is the schema of the kind.
    type Fields: JsonSchema;

    /// Role that the kind plays for references; `None` for a kind that no reference can name.
    const ROLE: Option<Role> = None;
    /// Help for an unused entry; `None` for a kind that is called from outside.
    const UNUSED: Option<&'static str> = None;
    /// Required fields that get a stand-in if they cannot be read.
    const STAND_INS: &'static [StandIn] = &[];

    /// Reads an entry. Returns `None` after reporting a problem.
    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<Self::Value>;

    /// Returns the JSON Schema of `meta`, for kinds that read a part of it.
    fn meta_schema() -> Json {
        json!(true)
    }
}

/// A required field. In an app with errors, a placeholder text replaces an unreadable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandIn {
    /// Field `method`.
    Method,
    /// Field `hash`.
    Hash,
}

impl StandIn {
    /// Returns the field's name.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Hash => Sha256Hash::NAME,
        }
    }

    /// Returns the placeholder text, which has no meaning.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Method => "unread".to_owned(),
            Self::Hash => Sha256Hash::NONE.to_string(),
        }
    }
}

/// Questions that the rest of the crate asks a value of any kind.
pub(crate) trait Content {
    /// Returns the file that `file://` in a field names.
    fn source_file(&self, _field: &str) -> Option<&Path> {
        None
    }

    /// Returns the code that the entry runs.
    fn code(&self) -> Option<&Code> {
        None
    }

    /// Returns the command that runs the entry.
    fn command(&self) -> Option<&CommandName> {
        None
    }

    /// Returns the storages that the entry delegates lookups to. They must not delegate back to it.
    fn asks(&self) -> &[EntryId] {
        &[]
    }

    /// Returns the address that the entry listens on.
    fn listens(&self) -> Option<&ListenAddr> {
        None
    }

    /// Returns the parent entry, through which HTTP requests arrive.
    fn above(&self) -> Option<Above<'_>> {
        None
    }

    /// Returns the mutable slot of the parent entry.
    fn seat(&mut self) -> Option<Seat<'_>> {
        None
    }

    /// Returns the HTTP routes that the entry answers.
    fn answers(&self) -> Option<Answers<'_>> {
        None
    }
}
