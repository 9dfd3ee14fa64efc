//! Writes the `imports:` of entries into an index file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crisol_core::{EntryId, Namespace};

use super::not_editable::NotEditable;
use super::written_fields::{TextEdit, WrittenFields, YamlMarker};
use super::{EditError, FieldEdit, edit};
use crate::field::EntryField;
use crate::values::canonical;
use crate::yaml::{Data, Node, Pair};

/// Tokens to add to and remove from the `imports` of an entry. Tokens that stay are written once, in their
/// original spelling, with the comments beside and above them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportsEdit {
    /// Tokens to remove, in the form that `ImportToken` prints.
    pub remove: BTreeSet<String>,
    /// Tokens to add.
    pub add: BTreeSet<String>,
}

/// Changes the `imports` of entries in the text of their index file, in place like [`write_hashes`](crate::write_hashes).
///
/// # Errors
/// Fails if the text is not YAML, has no such entry, or has no place for its imports. Nothing is written
/// then.
pub fn write_imports(
    text: &str,
    changes: &BTreeMap<EntryId, ImportsEdit>,
    default: Option<&Namespace>,
) -> Result<String, EditError> {
    edit(text, changes, default)
}

impl ImportsEdit {
    /// Splits items into kept and dropped ones. Removed tokens and duplicates are dropped.
    fn split<'n>(&self, items: &[&'n Node]) -> (Vec<&'n Node>, Vec<&'n Node>) {
        let mut seen = BTreeSet::new();
        let mut stays = |item: &&Node| {
            let token = item.text().map(canonical);
            token.is_none_or(|token| !self.remove.contains(&token) && seen.insert(token))
        };
        items.iter().copied().partition(|item| stays(item))
    }

    /// Formats a list in brackets: the kept items as written, then the added tokens.
    fn list(&self, kept: &[&str], quoted: bool) -> String {
        let quote = if quoted { "\"" } else { "" };
        let added = self.add.iter().map(|token| format!("{quote}{token}{quote}"));
        let all: Vec<_> = kept.iter().map(|item| (*item).to_owned()).chain(added).collect();
        format!("[{}]", all.join(", "))
    }

    /// Returns the edits of a list with one item per line.
    fn lines(
        &self,
        own: &WrittenFields<'_>,
        pair: &Pair,
        items: &[&Node],
    ) -> Option<Vec<TextEdit>> {
        let (kept, removed) = self.split(items);
        let colon = own.colon(pair)?;
        let top = line_end(own.text, colon)?;
        let mut edits = Vec::new();
        for item in removed {
            let (line, _) = line(own.text, item)?;
            let start = comments_above(own.text, top, line.start)?;
            edits.push(TextEdit { at: start..line.end, text: String::new() });
        }
        if kept.is_empty() && self.add.is_empty() {
            edits.push(TextEdit { at: colon..colon, text: " []".to_owned() });
        }
        let (last, indent) = line(own.text, items.last()?)?;
        let newline = if own.text.get(last.clone())?.ends_with("\r\n") { "\r\n" } else { "\n" };
        let ended = own.text.get(last.clone())?.ends_with('\n');
        let lines = self.add.iter().map(|token| match ended {
            true => format!("{indent}- {token}{newline}"),
            false => format!("{newline}{indent}- {token}"),
        });
        let text: String = lines.collect();
        edits.push(TextEdit { at: last.end..last.end, text });
        Some(edits)
    }
}

/// Returns the whole line of a list item and the text before its `-`; `None` for an item that shares its
/// line.
fn line<'t>(text: &'t str, item: &Node) -> Option<(Range<usize>, &'t str)> {
    let at = item.span.range();
    let start = text.get(..at.start)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(start..at.start)?.trim_end();
    let indent = before.strip_suffix('-')?;
    if !indent.trim().is_empty() {
        return None;
    }
    Some((start..line_end(text, at.end)?, indent))
}

/// Returns the end of the line that holds a byte, after its line break.
fn line_end(text: &str, at: usize) -> Option<usize> {
    Some(text.get(at..)?.find('\n').map_or(text.len(), |end| at + end + 1))
}

/// Returns the start of the comment lines directly above a line, below `top`.
fn comments_above(text: &str, top: usize, line: usize) -> Option<usize> {
    let mut start = line;
    for above in text.get(top..line)?.split_inclusive('\n').rev() {
        if !above.trim_start().starts_with('#') {
            break;
        }
        start -= above.len();
    }
    Some(start)
}

/// Key of the field.
const KEY: &str = "imports";

impl FieldEdit for ImportsEdit {
    const FIELD: EntryField = EntryField::Imports;

    fn edits(&self, own: &WrittenFields<'_>) -> Result<Vec<TextEdit>, NotEditable> {
        let items: Vec<&Node> = match own.value.map(|value| (&value.data, value.is_null())) {
            Some((Data::List(items), _)) => items.iter().map(|item| &**item).collect(),
            None | Some((_, true)) => Vec::new(),
            Some(_) => return Err(NotEditable::NotAList),
        };
        let list = || {
            let (kept, _) = self.split(&items);
            let kept = kept.into_iter().map(|item| own.text.get(item.span.range()));
            let kept: Vec<_> = kept.collect::<Option<_>>().ok_or(NotEditable::Unplaced)?;
            Ok(self.list(&kept, own.is_quoted()))
        };
        let Some(pair) = own.pair(KEY) else {
            // A list from a merge (`<<`) is replaced by a list of the entry's own.
            return Ok(vec![own.add(&["method", "path", "fs"], &list()?)?]);
        };
        let range = own.value_range(pair)?;
        let written = own.text.get(range.clone()).ok_or(NotEditable::Unplaced)?;
        // The list of an alias belongs to another entry too, so the new list replaces the alias token.
        let is_alias = written.starts_with('*');
        if !is_alias && items.iter().any(|item| !range.contains(&item.span.range().start)) {
            let token = written.find('*').and_then(|at| YamlMarker::at(written, at));
            return Err(token.map_or(NotEditable::Unplaced, |token| token.reason(written)));
        }
        if !is_alias {
            // Items may have the same indentation as their key.
            if !items.is_empty() && items.iter().all(|item| line(own.text, item).is_some()) {
                return self.lines(own, pair, &items).ok_or(NotEditable::Unplaced);
            }
            if written.contains('#') {
                return Err(NotEditable::Comments);
            }
            // Removing an item's anchor would break its aliases.
            let token = written.find(['&', '!']).and_then(|at| YamlMarker::at(written, at));
            if let Some(token) = token {
                return Err(token.reason(written));
            }
        }
        Ok(vec![own.replace(pair, list()?)?])
    }

    fn value(&self, fields: &Node) -> String {
        let items: Vec<&Node> = fields.items(KEY).iter().map(|item| &**item).collect();
        let (kept, _) = self.split(&items);
        let kept: Vec<_> = kept.into_iter().filter_map(Node::text).map(canonical).collect();
        self.list(&kept.iter().map(String::as_str).collect::<Vec<_>>(), false)
    }

    fn is_made(&self, fields: &Node, before: &Node) -> bool {
        let tokens = |fields: &Node| -> BTreeSet<String> {
            let items = fields.items(KEY).iter();
            items.filter_map(|item| item.text()).map(canonical).collect()
        };
        let kept = &tokens(before) - &self.remove;
        let there = tokens(fields);
        fields.items(KEY).len() == there.len() && there == &kept | &self.add
    }
}
