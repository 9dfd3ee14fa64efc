//! Writes file hashes into the `hash:` fields of an index file.

use std::collections::BTreeMap;

use crisol_core::{EntryId, Namespace};

use super::not_editable::NotEditable;
use super::written_fields::{TextEdit, WrittenFields};
use super::{EditError, FieldEdit, edit, scalar_at};
use crate::field::EntryField;
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
pub fn write_hashes(
    text: &str,
    hashes: &BTreeMap<EntryId, Sha256Hash>,
    default: Option<&Namespace>,
) -> Result<String, EditError> {
    edit(text, hashes, default)
}

/// Returns the hash in an entry's fields; `None` if it is missing or malformed.
pub(crate) fn written_hash(fields: &Node) -> Option<Sha256Hash> {
    scalar_at(fields, Sha256Hash::NAME)?.parse().ok()
}

impl FieldEdit for Sha256Hash {
    const FIELD: EntryField = EntryField::Hash;

    fn edits(&self, own: &WrittenFields<'_>) -> Result<Vec<TextEdit>, NotEditable> {
        let value = |quoted: bool| if quoted { format!("\"{self}\"") } else { self.to_string() };
        let edit = match own.pair(Self::NAME) {
            Some(pair) => {
                let written = own.text.get(own.value_range(pair)?).unwrap_or_default();
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
        written_hash(fields) == Some(*self)
    }
}
