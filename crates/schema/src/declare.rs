//! Writing what an entry declares into its `imports:`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crisol_core::{EntryId, Namespace};

use crate::edit::{self, Edit, EditError, FieldEdit, Own};
use crate::values::canonical;
use crate::yaml::{Data, Node};

/// Tokens that leave and join the `imports` of an entry. Those that stay are written as they were, with the comments
/// beside them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportsEdit {
    /// Tokens to take out, as `Import` prints them.
    pub remove: BTreeSet<String>,
    /// Tokens to add.
    pub add: BTreeSet<String>,
}

/// Changes the `imports` of entries in the text of their index file, as [`pin`](crate::pin) writes hashes.
///
/// # Errors
/// When the text is not YAML, or has no such entry, or no place for its imports: then nothing is written.
pub fn declare(
    text: &str,
    changes: &BTreeMap<EntryId, ImportsEdit>,
    default: Option<&Namespace>,
) -> Result<String, EditError> {
    edit::edit(text, changes, default)
}

impl ImportsEdit {
    fn removes(&self, item: &Node) -> bool {
        item.text().is_some_and(|text| self.remove.contains(&canonical(text)))
    }

    /// A list in brackets of what was written and stays, and what is added.
    fn list(&self, kept: &[&str], quoted: bool) -> String {
        let quote = if quoted { "\"" } else { "" };
        let added = self.add.iter().map(|token| format!("{quote}{token}{quote}"));
        let all: Vec<_> = kept.iter().map(|item| (*item).to_owned()).chain(added).collect();
        format!("[{}]", all.join(", "))
    }

    /// Edits of a list whose items have a line each.
    fn lines(&self, own: &Own<'_>, pair: &crate::yaml::Pair, items: &[&Node]) -> Option<Vec<Edit>> {
        let kept = items.iter().filter(|item| !self.removes(item)).count();
        let mut edits = Vec::new();
        for item in items.iter().filter(|item| self.removes(item)) {
            edits.push(Edit { at: line(own.text, item)?.0, text: String::new() });
        }
        if kept == 0 && self.add.is_empty() {
            let colon = own.colon(pair)?;
            edits.push(Edit { at: colon..colon, text: " []".to_owned() });
        }
        let (last, indent) = line(own.text, items.last()?)?;
        let newline = if own.text.get(last.clone())?.ends_with("\r\n") { "\r\n" } else { "\n" };
        let ended = own.text.get(last.clone())?.ends_with('\n');
        let lines = self.add.iter().map(|token| match ended {
            true => format!("{indent}- {token}{newline}"),
            false => format!("{newline}{indent}- {token}"),
        });
        let text: String = lines.collect();
        edits.push(Edit { at: last.end..last.end, text });
        Some(edits)
    }
}

/// The whole line of an item of a list, and what stands before its `-`; none for an item that shares its line.
fn line<'t>(text: &'t str, item: &Node) -> Option<(Range<usize>, &'t str)> {
    let at = item.span.range();
    let start = text.get(..at.start)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(start..at.start)?.trim_end();
    let indent = before.strip_suffix('-')?;
    if !indent.trim().is_empty() {
        return None;
    }
    let end = text.get(at.end..)?.find('\n').map_or(text.len(), |end| at.end + end + 1);
    Some((start..end, indent))
}

impl FieldEdit for ImportsEdit {
    const FIELD: &'static str = "imports";

    fn edits(&self, own: &Own<'_>) -> Option<Vec<Edit>> {
        let Some(pair) = own.pair(Self::FIELD) else {
            let value = self.list(&[], own.is_quoted());
            return Some(vec![own.add(&["method", "path", "fs"], &value)?]);
        };
        let place = own.place(pair)?;
        let written = own.text.get(place.clone())?;
        let items: Vec<&Node> = match &pair.value.data {
            Data::List(items) => items.iter().map(|item| &**item).collect(),
            Data::Scalar(_) if pair.value.is_null() => Vec::new(),
            _ => return None,
        };
        // What an alias stands for is another entry's too.
        if written.starts_with('*')
            || items.iter().any(|item| !place.contains(&item.span.range().start))
        {
            return None;
        }
        // Items may stand as far to the left as their key does.
        if !items.is_empty() && items.iter().all(|item| line(own.text, item).is_some()) {
            return self.lines(own, pair, &items);
        }
        if written.contains('#') {
            return None;
        }
        let kept = items.iter().filter(|item| !self.removes(item));
        let kept: Option<Vec<_>> = kept.map(|item| own.text.get(item.span.range())).collect();
        Some(vec![own.replace(pair, self.list(&kept?, own.is_quoted()))?])
    }

    fn is_made(&self, fields: &Node) -> bool {
        let items = fields.items(Self::FIELD);
        let there: BTreeSet<_> =
            items.iter().filter_map(|item| item.text()).map(canonical).collect();
        items.iter().all(|item| item.text().is_some())
            && self.add.is_subset(&there)
            && self.remove.is_disjoint(&there)
    }
}
