//! Writing what an entry declares into its `imports:`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crisol_core::{EntryId, Namespace};

use crate::edit::{self, Edit, EditError, FieldEdit, Own, Token};
use crate::obstacle::Obstacle;
use crate::values::canonical;
use crate::yaml::{Data, Node, Pair};

/// Tokens that leave and join the `imports` of an entry. Those that stay are written once, as they were, with the comments
/// beside and above them.
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
    /// Splits items into those that stay and those that go: what is taken out, and what was there before.
    fn split<'n>(&self, items: &[&'n Node]) -> (Vec<&'n Node>, Vec<&'n Node>) {
        let mut seen = BTreeSet::new();
        let mut stays = |item: &&Node| {
            let token = item.text().map(canonical);
            token.is_none_or(|token| !self.remove.contains(&token) && seen.insert(token))
        };
        items.iter().copied().partition(|item| stays(item))
    }

    /// A list in brackets of what was written and stays, and what is added.
    fn list(&self, kept: &[&str], quoted: bool) -> String {
        let quote = if quoted { "\"" } else { "" };
        let added = self.add.iter().map(|token| format!("{quote}{token}{quote}"));
        let all: Vec<_> = kept.iter().map(|item| (*item).to_owned()).chain(added).collect();
        format!("[{}]", all.join(", "))
    }

    /// Edits of a list whose items have a line each.
    fn lines(&self, own: &Own<'_>, pair: &Pair, items: &[&Node]) -> Option<Vec<Edit>> {
        let (kept, removed) = self.split(items);
        let colon = own.colon(pair)?;
        let top = line_end(own.text, colon)?;
        let mut edits = Vec::new();
        for item in removed {
            let (line, _) = line(own.text, item)?;
            let start = comments_above(own.text, top, line.start)?;
            edits.push(Edit { at: start..line.end, text: String::new() });
        }
        if kept.is_empty() && self.add.is_empty() {
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
    Some((start..line_end(text, at.end)?, indent))
}

/// The end of the line with a place, its line break included.
fn line_end(text: &str, at: usize) -> Option<usize> {
    Some(text.get(at..)?.find('\n').map_or(text.len(), |end| at + end + 1))
}

/// The start of the lines of comments that stand directly above a line, below `top`.
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

impl FieldEdit for ImportsEdit {
    const FIELD: &'static str = "imports";

    fn edits(&self, own: &Own<'_>) -> Result<Vec<Edit>, Obstacle> {
        let items: Vec<&Node> = match own.value.map(|value| (&value.data, value.is_null())) {
            Some((Data::List(items), _)) => items.iter().map(|item| &**item).collect(),
            None | Some((_, true)) => Vec::new(),
            Some(_) => return Err(Obstacle::NoList),
        };
        let list = || {
            let (kept, _) = self.split(&items);
            let kept = kept.into_iter().map(|item| own.text.get(item.span.range()));
            let kept: Vec<_> = kept.collect::<Option<_>>().ok_or(Obstacle::Unplaced)?;
            Ok(self.list(&kept, own.is_quoted()))
        };
        let Some(pair) = own.pair(Self::FIELD) else {
            // A list that `<<` brings along gives way to one of the entry's own.
            return Ok(vec![own.add(&["method", "path", "fs"], &list()?)?]);
        };
        let place = own.place(pair)?;
        let written = own.text.get(place.clone()).ok_or(Obstacle::Unplaced)?;
        // The list that an alias names is another entry's too: the list that is meant stands in the alias' place.
        let is_alias = written.starts_with('*');
        if !is_alias && items.iter().any(|item| !place.contains(&item.span.range().start)) {
            let token = written.find('*').and_then(|at| Token::at(written, at));
            return Err(token.map_or(Obstacle::Unplaced, |token| token.obstacle(written)));
        }
        if !is_alias {
            // Items may stand as far to the left as their key does.
            if !items.is_empty() && items.iter().all(|item| line(own.text, item).is_some()) {
                return self.lines(own, pair, &items).ok_or(Obstacle::Unplaced);
            }
            if written.contains('#') {
                return Err(Obstacle::Comments);
            }
            // An item's anchor would be lost, and with it what its aliases stand for.
            let token = written.find(['&', '!']).and_then(|at| Token::at(written, at));
            if let Some(token) = token {
                return Err(token.obstacle(written));
            }
        }
        Ok(vec![own.replace(pair, list()?)?])
    }

    fn value(&self, fields: &Node) -> String {
        let items: Vec<&Node> = fields.items(Self::FIELD).iter().map(|item| &**item).collect();
        let (kept, _) = self.split(&items);
        let kept: Vec<_> = kept.into_iter().filter_map(Node::text).map(canonical).collect();
        self.list(&kept.iter().map(String::as_str).collect::<Vec<_>>(), false)
    }

    fn is_made(&self, fields: &Node, before: &Node) -> bool {
        let tokens = |fields: &Node| -> BTreeSet<String> {
            let items = fields.items(Self::FIELD).iter();
            items.filter_map(|item| item.text()).map(canonical).collect()
        };
        let kept = &tokens(before) - &self.remove;
        let there = tokens(fields);
        fields.items(Self::FIELD).len() == there.len() && there == &kept | &self.add
    }
}
