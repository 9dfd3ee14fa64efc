//! Fields of one entry as its text has them, and replacements in that text.

use std::ops::Range;

use super::fields;
use super::not_editable::NotEditable;
use crate::yaml::{Node, Pair};

/// A replacement in the text.
pub(crate) struct TextEdit {
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
}

/// An anchor or tag before a value, or an alias in its place.
pub(crate) struct YamlMarker {
    /// First character: `&`, `*` or `!`.
    sigil: char,
    at: Range<usize>,
}

impl YamlMarker {
    /// Reads the token at byte `begin`, if there is one.
    pub(crate) fn at(text: &str, begin: usize) -> Option<Self> {
        let token = text.get(begin..)?;
        let sigil = token.chars().next().filter(|first| matches!(first, '&' | '*' | '!'))?;
        let end = token.find(|c: char| c.is_whitespace() || ",}]".contains(c));
        Some(Self { sigil, at: begin..begin + end.unwrap_or(token.len()) })
    }

    /// Returns the reason that the marker prevents an edit.
    pub(crate) fn reason(&self, text: &str) -> NotEditable {
        let token = text.get(self.at.clone()).unwrap_or_default().to_owned();
        match self.sigil {
            '&' => NotEditable::Anchor(token),
            '*' => NotEditable::Alias(token),
            _ => NotEditable::Tag(token),
        }
    }
}

/// Fields written at the entry itself, without those of an alias or a merge (`<<`).
pub(crate) struct WrittenFields<'n> {
    pub(crate) text: &'n str,
    field: &'static str,
    /// Value of the field, wherever it is written.
    pub(crate) value: Option<&'n Node>,
    pairs: Vec<&'n Pair>,
    /// True if the map is in braces.
    pub(crate) is_flow: bool,
}

impl<'n> WrittenFields<'n> {
    pub(super) fn of(
        text: &'n str,
        entry: &'n Node,
        field: &'static str,
    ) -> Result<Self, NotEditable> {
        let fields = fields(entry);
        let (whole, map) = (entry.span.range(), fields.span.range());
        // The map of an alias belongs to another entry too.
        if map.start < whole.start || map.end > whole.end {
            return Err(NotEditable::Fields);
        }
        let own = |pair: &&Pair| map.contains(&(pair.key_span.start as usize));
        let is_flow = text.get(map.start..).ok_or(NotEditable::Unplaced)?.starts_with('{');
        let value = fields.get(field).map(|value| &**value);
        let pairs = fields.pairs().iter().filter(own).collect();
        Ok(Self { text, field, value, pairs, is_flow })
    }

    /// Returns the pair of a field.
    pub(crate) fn pair(&self, key: &str) -> Option<&'n Pair> {
        self.pairs.iter().find(|pair| &*pair.key == key).copied()
    }

    /// Returns the byte range of a pair's value; the end of its colon if the value is empty.
    ///
    /// # Errors
    /// Fails on an anchor or a tag, since other places may depend on it.
    pub(crate) fn value_range(&self, pair: &Pair) -> Result<Range<usize>, NotEditable> {
        let text = self.text;
        let colon = self.colon(pair).ok_or(NotEditable::Unplaced)?;
        let value = pair.value.span.range();
        let rest = text.get(colon..).ok_or(NotEditable::Unplaced)?;
        let begin = colon + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        // The node of an alias is elsewhere, so the range is that of the alias token. An empty value has no
        // range.
        Ok(match YamlMarker::at(text, begin) {
            Some(YamlMarker { sigil: '*', at }) => at,
            Some(token) => return Err(token.reason(text)),
            None if value.is_empty() || value.start < colon => colon..colon,
            None => {
                let raw = text.get(value.clone()).ok_or(NotEditable::Unplaced)?;
                value.start..value.start + raw.trim_end().len()
            }
        })
    }

    /// Returns the end of a pair's colon.
    pub(crate) fn colon(&self, pair: &Pair) -> Option<usize> {
        let key_end = pair.key_span.end as usize;
        Some(key_end + self.text.get(key_end..)?.find(':')? + 1)
    }

    /// Replaces the value of a pair.
    ///
    /// # Errors
    /// Fails like [`WrittenFields::value_range`].
    pub(crate) fn replace(&self, pair: &Pair, mut value: String) -> Result<TextEdit, NotEditable> {
        let at = self.value_range(pair)?;
        if Some(at.start) == self.colon(pair) {
            value.insert(0, ' ');
        }
        Ok(TextEdit { at, text: value })
    }

    /// Adds the field after the first existing field of `after`, or else after the first field.
    ///
    /// # Errors
    /// Fails if the entry has no field of its own.
    pub(crate) fn add(&self, after: &[&str], value: &str) -> Result<TextEdit, NotEditable> {
        let after = after.iter().find_map(|key| self.pair(key));
        let after = after.or_else(|| self.pairs.first().copied()).ok_or(NotEditable::Fields)?;
        let added =
            if self.is_flow { self.add_flow(after, value) } else { self.add_line(after, value) };
        added.ok_or(NotEditable::Unplaced)
    }

    /// Returns true if keys are quoted, as in JSON.
    pub(crate) fn is_quoted(&self) -> bool {
        let first = self.pairs.first().and_then(|pair| self.text.get(pair.key_span.range()));
        first.is_some_and(|key| key.starts_with('"'))
    }

    /// Adds `"field": value` after a pair of a map in braces.
    fn add_flow(&self, after: &Pair, value: &str) -> Option<TextEdit> {
        let end = after.value.span.range().end;
        let quote = if self.is_quoted() { "\"" } else { "" };
        let at = if end > after.key_span.end as usize { end } else { return None };
        Some(TextEdit { at: at..at, text: format!(", {quote}{}{quote}: {value}", self.field) })
    }

    /// Adds a line after the last line of a pair, with the same indentation.
    fn add_line(&self, after: &Pair, value: &str) -> Option<TextEdit> {
        let text = self.text;
        let key = after.key_span.start as usize;
        let before = text.get(after.value.span.range())?;
        let last = after.value.span.start as usize + before.trim_end().len();
        let last = last.max(after.key_span.end as usize);
        let line_start = text.get(..key)?.rfind('\n').map_or(0, |at| at + 1);
        let column = text.get(line_start..key)?.chars().count();
        let line_end = text.get(last..)?.find('\n').map_or(text.len(), |at| last + at);
        let crlf = text.get(..line_end)?.ends_with('\r');
        let (at, newline) = if crlf { (line_end - 1, "\r\n") } else { (line_end, "\n") };
        let text = format!("{newline}{}{}: {value}", " ".repeat(column), self.field);
        Some(TextEdit { at: at..at, text })
    }
}
