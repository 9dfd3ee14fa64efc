//! A text that an entry holds, or names with `file://`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::decode::Source;

/// A text of an entry, read already, and the file it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    text: Arc<str>,
    file: Option<PathBuf>,
}

impl SourceText {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file that `file://` named, relative to the app; none when the text stands in the YAML.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl From<Source> for SourceText {
    fn from(source: Source) -> Self {
        Self { text: source.text, file: source.file }
    }
}

/// As a file at the app's top would write it.
impl Serialize for SourceText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.file {
            Some(file) => serializer.collect_str(&format_args!("file://{}", file.display())),
            None => serializer.serialize_str(&self.text),
        }
    }
}
