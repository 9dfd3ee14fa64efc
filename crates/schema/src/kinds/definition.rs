//! Traits of a kind: [`KindDefinition`] describes and reads the kind, [`KindContent`] describes its values.

use std::path::Path;

use crisol_core::EntryId;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use crate::decode::DecodeContext;
use crate::field::EntryField;
use crate::parts::{Code, EntryRoutes, ParentRef, ParentSlot, Transport};
use crate::role::Role;
use crate::values::{CommandName, ListenAddr, Sha256Hash};
use crate::yaml::Node;

/// Parts of an entry that its kind reads.
pub(crate) struct EntryBody<'n> {
    /// The kind's own fields.
    pub(crate) fields: &'n Node,
    pub(crate) meta: Option<&'n Node>,
}

/// A kind of entry: its fields, role and reader.
pub(super) trait KindDefinition {
    /// Validated value of an entry of this kind.
    type Value: KindContent;
    /// Fields as written. Their JSON Schema, with its description, is the schema of the kind.
    type Fields: JsonSchema;

    /// Role that the kind plays for references; `None` for a kind that no reference can name.
    const ROLE: Option<Role> = None;
    /// Help for an unused entry; `None` for a kind that is called from outside.
    const UNUSED: Option<&'static str> = None;
    /// Required fields that get a placeholder if they cannot be read.
    const PLACEHOLDERS: &'static [Placeholder] = &[];

    /// Reads an entry. Returns `None` after reporting a problem.
    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<Self::Value>;

    /// Returns the JSON Schema of `meta`, for kinds that read a part of it.
    fn meta_schema() -> Json {
        json!(true)
    }
}

/// A required field. In an app with errors, a placeholder text replaces an unreadable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// Field `method`.
    Method,
    /// Field `hash`.
    Hash,
}

impl Placeholder {
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

/// Facts about a value of any kind, for the rest of the crate.
pub(crate) trait KindContent {
    /// Returns the file that `file://` in a field names.
    fn source_file(&self, _field: &EntryField) -> Option<&Path> {
        None
    }

    /// Returns the code that the entry runs.
    fn code(&self) -> Option<&Code> {
        None
    }

    /// Returns the transport between HTTP requests and the entry's arguments.
    fn transport(&self) -> Option<&Transport> {
        None
    }

    /// Returns the command that runs the entry.
    fn command(&self) -> Option<&CommandName> {
        None
    }

    /// Returns the storages that the entry delegates lookups to. They must not delegate back to it.
    fn delegates_to(&self) -> &[EntryId] {
        &[]
    }

    /// Returns the address that the entry listens on.
    fn listen_addr(&self) -> Option<&ListenAddr> {
        None
    }

    /// Returns the parent entry, through which HTTP requests arrive.
    fn parent(&self) -> Option<ParentRef<'_>> {
        None
    }

    /// Returns the mutable slot of the parent entry.
    fn parent_slot(&mut self) -> Option<ParentSlot<'_>> {
        None
    }

    /// Returns the HTTP routes that the entry answers.
    fn routes(&self) -> Option<EntryRoutes<'_>> {
        None
    }
}
