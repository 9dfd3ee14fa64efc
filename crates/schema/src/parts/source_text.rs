//! Text of an entry, written inline or in a `file://` source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::decode::InlineOrFile;

/// A text of an entry, and the file it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    text: Arc<str>,
    file: Option<PathBuf>,
}

impl SourceText {
    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the file that `file://` names, relative to the app; `None` for an inline text.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl From<InlineOrFile> for SourceText {
    fn from(source: InlineOrFile) -> Self {
        Self { text: source.text, file: source.file }
    }
}

/// Serializes as in an index file at the top of the app.
impl Serialize for SourceText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.file {
            Some(file) => serializer.collect_str(&format_args!("file://{}", file.display())),
            None => serializer.serialize_str(&self.text),
        }
    }
}
