//! A kind as one slice: what its file says of it, and what its values say of themselves.

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

/// A kind of entry, as its file describes it.
pub(super) trait Slice {
    /// Validated value of an entry of the kind.
    type Value: Content;
    /// Fields as they are written: their JSON Schema is the kind's, its description included.
    type Fields: JsonSchema;

    /// Role that references to such entries ask for; none for a kind that nothing refers to.
    const ROLE: Option<Role> = None;
    /// Help for an entry that nothing uses; none for a kind that is called from outside.
    const UNUSED: Option<&'static str> = None;
    /// Fields without which no value can be read.
    const STAND_INS: &'static [StandIn] = &[];

    /// Reads an entry. `None` means that a problem was reported.
    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<Self::Value>;

    /// JSON Schema of `meta`, of which a kind may read a part.
    fn meta_schema() -> Json {
        json!(true)
    }
}

/// A field that a value cannot be without. An app with errors is read with a text in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandIn {
    /// `method`
    Method,
    /// `hash`
    Hash,
}

impl StandIn {
    /// The field's name.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Hash => Sha256Hash::NAME,
        }
    }

    /// The text in its place, which means nothing.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Method => "unread".to_owned(),
            Self::Hash => Sha256Hash::NONE.to_string(),
        }
    }
}

/// Questions that the rest of the crate has for a value of any kind.
pub(crate) trait Content {
    /// The file that a field's `file://` names.
    fn source_file(&self, _field: &str) -> Option<&Path> {
        None
    }

    /// The code that it runs.
    fn code(&self) -> Option<&Code> {
        None
    }

    /// The command that runs it.
    fn command(&self) -> Option<&CommandName> {
        None
    }

    /// The entries that it asks for what it has not, which must not ask it in turn.
    fn asks(&self) -> &[EntryId] {
        &[]
    }

    /// The address that it listens on.
    fn listens(&self) -> Option<&ListenAddr> {
        None
    }

    /// The entry that HTTP requests reach it through.
    fn above(&self) -> Option<Above<'_>> {
        None
    }

    /// The place for that entry.
    fn seat(&mut self) -> Option<Seat<'_>> {
        None
    }

    /// The HTTP routes that it answers.
    fn answers(&self) -> Option<Answers<'_>> {
        None
    }
}
