//! Writes file hashes into the `hash:` fields of an index file.

use std::collections::BTreeMap;

use crisol_core::{EntryId, Namespace};

use crate::edit::{self, Edit, EditError, FieldEdit, Own, scalar};
use crate::obstacle::Obstacle;
use crate::values::Sha256Hash;
use crate::yaml::Node;

/// Writes the hashes of entries into the text of their index file, in place: comments, layout, order and line
/// ends stay as they are. A missing `hash` is added after `path`. The function parses the text twice, however
/// many entries it changes: once to find the fields and once to verify the result.
///
/// `default` is the namespace of a file that declares none.
///
/// # Errors
/// Fails if the text is not YAML, has no such entry, or has no place for its hash. Nothing is written then.
pub fn pin(
    text: &str,
    hashes: &BTreeMap<EntryId, Sha256Hash>,
    default: Option<&Namespace>,
) -> Result<String, EditError> {
    edit::edit(text, hashes, default)
}

/// Returns the hash in an entry's fields; `None` if it is missing or malformed.
pub(crate) fn current(fields: &Node) -> Option<Sha256Hash> {
    scalar(fields, Sha256Hash::NAME)?.parse().ok()
}

impl FieldEdit for Sha256Hash {
    const FIELD: &'static str = Self::NAME;

    fn edits(&self, own: &Own<'_>) -> Result<Vec<Edit>, Obstacle> {
        let value = |quoted: bool| if quoted { format!("\"{self}\"") } else { self.to_string() };
        let edit = match own.pair(Self::FIELD) {
            Some(pair) => {
                let written = own.text.get(own.place(pair)?).unwrap_or_default();
                own.replace(pair, value(own.is_flow || written.starts_with('"')))
            }
            None => own.add(&["path", "fs"], &value(own.is_flow)),
        };
        Ok(vec![edit?])
    }

    fn value(&self, _: &Node) -> String {
        self.to_string()
    }

    fn is_made(&self, fields: &Node, _: &Node) -> bool {
        current(fields) == Some(*self)
    }
}
