//! Certificates and keys, inside the app or outside of it.

use std::fmt;
use std::path::{Path, PathBuf};

use crisol_core::EntryId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::source_text::SourceText;
use crate::decode::{Decode, DecodeContext, InlineOrFile, text};
use crate::reference::{self, Ref};
use crate::values::DirectoryPath;
use crate::yaml::{Data, Node, Scalar, Style};

/// A certificate or a key as PEM.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Text in the entry, or in a file of the app.
    Text(SourceText),
    /// File outside of the app, by its absolute path; read when the app loads.
    File(PathBuf),
    /// Value of an `env.variable`; read when the app loads.
    Variable(EntryId),
}

impl Pem {
    /// Returns the file of the app that `file://` names.
    pub(crate) fn source_file(&self) -> Option<&Path> {
        match self {
            Self::Text(source) => source.file(),
            Self::File(_) | Self::Variable(_) => None,
        }
    }
}

/// Omits the text, so that keys never reach logs.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(source) => f.debug_tuple("Text").field(&source.file()).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(id) => f.debug_tuple("Variable").field(id).finish(),
        }
    }
}

impl Serialize for Pem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(source) => source.serialize(serializer),
            Self::File(path) => serializer.collect_str(&format_args!("file://{}", path.display())),
            Self::Variable(id) => serializer.collect_str(&format_args!("env://{id}")),
        }
    }
}

impl JsonSchema for Pem {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pem".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        InlineOrFile::json_schema(generator)
    }
}

impl Decode for Pem {
    const EXAMPLE: &'static str = "file:///etc/tls/key.pem";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let written = text(node, "text", Self::EXAMPLE, cx)?;
        let part =
            |text: &str| Node::new(node.span, Data::Scalar(Scalar::new(text, Style::Quoted)));
        if let Some(id) = written.strip_prefix("env://") {
            return Ref::<reference::Variable>::decode(&part(id), cx)
                .map(|id| Self::Variable(id.id));
        }
        let path = written.strip_prefix("file://").unwrap_or(written);
        if path.starts_with('/') {
            let path = DirectoryPath::decode(&part(path), cx)?;
            return Some(Self::File(path.as_path().to_owned()));
        }
        InlineOrFile::decode(node, cx).map(|source| Self::Text(source.into()))
    }
}
