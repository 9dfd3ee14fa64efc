//! The texts that problems point into, and places in them. Knows lines and columns, not YAML.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::rule::Rule;

/// A place inside one of the texts of an app: a file of [`Sources`] and a byte range of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Which text.
    pub(crate) source: u32,
    /// First byte.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
}

impl Span {
    /// The whole-file place: its first byte.
    pub(crate) const fn head(source: u32) -> Self {
        Self { source, start: 0, end: 0 }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where something stands, as people and editors write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// The file, relative to the app's directory with `/` between folders; `--set` for an override.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One text: a file of the app, a `file://` source or an override.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    /// Byte at which each line begins.
    lines: Vec<u32>,
    /// Characters before each [`STRIDE`] of bytes, and all of them last: a column is found without counting along the whole
    /// line, which may be as long as the file.
    characters: Vec<u32>,
}

/// Bytes between two counts of characters.
const STRIDE: usize = 4096;

/// How many characters begin in these bytes.
fn characters(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u32
}

impl Source {
    fn new(name: String, text: Arc<str>) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect();
        let (mut counts, mut before) = (vec![0], 0);
        for chunk in text.as_bytes().chunks(STRIDE) {
            before += characters(chunk);
            counts.push(before);
        }
        Self { name, text, lines, characters: counts }
    }

    /// How many characters begin before a byte.
    fn characters_before(&self, at: usize) -> u32 {
        let stride = at / STRIDE;
        let rest = self.text.as_bytes().get(stride * STRIDE..at).unwrap_or(&[]);
        self.characters.get(stride).copied().unwrap_or(0) + characters(rest)
    }

    /// The line that holds a byte, from 0.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start as usize <= at).saturating_sub(1)
    }

    /// Where a line begins; the end of the text for a line past the last.
    pub(crate) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).map_or(self.text.len(), |&at| at as usize)
    }

    /// A line without its break.
    pub(crate) fn line(&self, line: usize) -> &str {
        let (start, end) = (self.line_start(line), self.line_start(line + 1));
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }

    /// A range that is inside the text, on character boundaries and within its first line.
    pub(crate) fn clip(&self, range: Range<usize>) -> Range<usize> {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(range.start);
        let line = self.line_of(start);
        let line_end = self.line_start(line) + self.line(line).len();
        // The start may lie in the line's break, which is not drawn.
        let start = start.min(line_end);
        start..floor(range.end).clamp(start, line_end)
    }

    /// Where a byte stands.
    pub(crate) fn place(&self, at: usize) -> Place {
        let at = self.clip(at..at).start;
        let line = self.line_of(at);
        let before = self.characters_before(self.line_start(line));
        Place {
            file: self.name.clone(),
            line: line as u32 + 1,
            column: self.characters_before(at) - before + 1,
        }
    }
}

/// Every text of one app, kept so that a problem found late can still show its line.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    list: Vec<Source>,
    /// Files of each layer by path: which text each is, or why it cannot be read. However many entries name
    /// a file, it is read once and held once.
    files: Vec<HashMap<String, Result<u32, Unread>>>,
    /// The layer that is being read.
    layer: usize,
    /// Bytes of all files.
    bytes: u64,
}

/// Why a file cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) rule: Rule,
    /// `cannot be read: no such file`
    pub(crate) why: String,
}

impl Sources {
    /// Adds a text that is no file.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: Arc<str>) -> u32 {
        self.list.push(Source::new(name.into(), text));
        self.list.len() as u32 - 1
    }

    /// Adds a file under its path.
    pub(crate) fn add_file(&mut self, path: &str, text: Arc<str>) -> u32 {
        self.bytes += text.len() as u64;
        let source = self.add(path, text);
        self.note(path, Ok(source));
        source
    }

    /// From here on, files are those of a layer: of an app, or of a change to it.
    pub(crate) fn turn_to(&mut self, layer: usize) {
        self.layer = layer;
    }

    fn note(&mut self, path: &str, read: Result<u32, Unread>) {
        if self.files.len() <= self.layer {
            self.files.resize_with(self.layer + 1, HashMap::new);
        }
        if let Some(files) = self.files.get_mut(self.layer) {
            files.insert(path.to_owned(), read);
        }
    }

    /// The texts of a layer's files.
    pub(crate) fn files_of(&self, layer: usize) -> BTreeMap<String, Arc<str>> {
        let files = self.files.get(layer).into_iter().flatten();
        let text = |(path, read): (&String, &Result<u32, Unread>)| {
            let source = self.get(*read.as_ref().ok()?)?;
            Some((path.clone(), Arc::clone(&source.text)))
        };
        files.filter_map(text).collect()
    }

    /// The file of a path in the layer of another file: a search, for those who are about to report.
    pub(crate) fn beside(&self, source: u32, path: &str) -> Option<u32> {
        let is_there = |read: &Result<u32, Unread>| read.as_ref().is_ok_and(|&at| at == source);
        let files = self.files.iter().find(|files| files.values().any(is_there))?;
        files.get(path)?.as_ref().ok().copied()
    }

    /// Notes that a file cannot be read.
    pub(crate) fn add_unread(&mut self, path: &str, unread: Unread) {
        self.note(path, Err(unread));
    }

    pub(crate) fn get(&self, source: u32) -> Option<&Source> {
        self.list.get(source as usize)
    }

    /// A file that was read already, or could not be.
    pub(crate) fn file(&self, path: &str) -> Option<&Result<u32, Unread>> {
        self.files.get(self.layer)?.get(path)
    }

    /// How many bytes of files there are.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn place(&self, span: Span) -> Option<Place> {
        Some(self.get(span.source)?.place(span.start as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::{STRIDE, Source};

    /// Columns count characters, across and at the ends of the counted strides.
    #[test]
    fn columns_count_characters() {
        for text in ["é".repeat(STRIDE), format!("{}é", "x".repeat(STRIDE - 1)), "ab\né".into()]
        {
            let source = Source::new("x".to_owned(), text.as_str().into());
            for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
                let wanted = text[line..at].chars().count() as u32 + 1;
                assert_eq!(source.place(at).column, wanted, "{at} of {}", text.len());
            }
        }
    }

    /// Every range of every text stays inside one drawn line, on character boundaries.
    #[test]
    fn clipped_ranges_are_inside_their_line() {
        for text in ["", "a", "a\r\r\r", "é\r\nü\n\n", "a\r\rb\n\r\r\r\nx"] {
            let source = Source::new("x".to_owned(), text.into());
            for start in 0..text.len() + 3 {
                for end in 0..text.len() + 3 {
                    let found = source.clip(start..end);
                    let line = source.line_of(found.start);
                    let begin = source.line_start(line);
                    let drawn = begin..=begin + source.line(line).len();
                    let inside = drawn.contains(&found.start) && drawn.contains(&found.end);
                    assert!(
                        inside && found.start <= found.end,
                        "{text:?} {start}..{end}: {found:?}"
                    );
                    assert!(text.get(found).is_some(), "{text:?} {start}..{end}");
                }
            }
        }
    }
}
