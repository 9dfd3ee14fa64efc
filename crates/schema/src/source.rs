//! Texts that problems point into, and locations in them. Knows lines and columns, not YAML.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::rule::Rule;

/// A location in a text of an app: the text in [`SourceMap`] and a byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Index of the text in [`SourceMap`].
    pub(crate) source: u32,
    /// First byte.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
}

impl Span {
    /// Returns the location for a whole file: its first byte.
    pub(crate) const fn head(source: u32) -> Self {
        Self { source, start: 0, end: 0 }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Location in a file, as people and editors write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Location {
    /// Path of the file, relative to the app's folder with `/` between folders; `--set` for an override.
    pub file: String,
    /// Line number, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One text: a file of the app, a `file://` source or an override.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    /// Start byte of each line.
    lines: Vec<u32>,
    /// Number of characters before each [`STRIDE`] of bytes, and the total at the end. Finds a column without
    /// counting along the whole line, which may be as long as the file.
    characters: Vec<u32>,
}

/// Bytes between two character counts.
const STRIDE: usize = 4096;

/// Counts the characters that begin in `bytes`.
fn characters(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u32
}

impl SourceFile {
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

    /// Counts the characters that begin before a byte.
    fn characters_before(&self, at: usize) -> u32 {
        let stride = at / STRIDE;
        let rest = self.text.as_bytes().get(stride * STRIDE..at).unwrap_or(&[]);
        self.characters.get(stride).copied().unwrap_or(0) + characters(rest)
    }

    /// Returns the line that holds a byte, from 0.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start as usize <= at).saturating_sub(1)
    }

    /// Returns the start byte of a line; the end of the text for a line past the last.
    pub(crate) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).map_or(self.text.len(), |&at| at as usize)
    }

    /// Returns a line without its line break.
    pub(crate) fn line(&self, line: usize) -> &str {
        let (start, end) = (self.line_start(line), self.line_start(line + 1));
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }

    /// Clips a range to the text, to character boundaries and to the first line of the range.
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
        // The start may lie in the line break, which is not drawn.
        let start = start.min(line_end);
        start..floor(range.end).clamp(start, line_end)
    }

    /// Returns the location of a byte.
    pub(crate) fn location(&self, at: usize) -> Location {
        let at = self.clip(at..at).start;
        let line = self.line_of(at);
        let before = self.characters_before(self.line_start(line));
        Location {
            file: self.name.clone(),
            line: line as u32 + 1,
            column: self.characters_before(at) - before + 1,
        }
    }
}

/// All texts of an app, kept so that late problems can still show their line.
#[derive(Debug, Default)]
pub(crate) struct SourceMap {
    list: Vec<SourceFile>,
    /// Files of each layer by path: the index of the text, or the reason it cannot be read. A file is read
    /// and stored once, however many entries name it.
    files: Vec<HashMap<String, Result<u32, Unreadable>>>,
    /// The layer being read.
    layer: usize,
    /// Total size of all files, in bytes.
    bytes: u64,
}

/// Reason a file cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    pub(crate) rule: Rule,
    /// Reason text, such as `cannot be read: no such file`.
    pub(crate) reason: String,
}

impl SourceMap {
    /// Adds a text that is not a file.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: Arc<str>) -> u32 {
        self.list.push(SourceFile::new(name.into(), text));
        self.list.len() as u32 - 1
    }

    /// Adds a file under its path.
    pub(crate) fn add_file(&mut self, path: &str, text: Arc<str>) -> u32 {
        self.bytes += text.len() as u64;
        let source = self.add(path, text);
        self.record(path, Ok(source));
        source
    }

    /// Sets the layer of the files added from now on: the app, or a change to it.
    pub(crate) fn set_layer(&mut self, layer: usize) {
        self.layer = layer;
    }

    fn record(&mut self, path: &str, read: Result<u32, Unreadable>) {
        if self.files.len() <= self.layer {
            self.files.resize_with(self.layer + 1, HashMap::new);
        }
        if let Some(files) = self.files.get_mut(self.layer) {
            files.insert(path.to_owned(), read);
        }
    }

    /// Returns the texts of a layer's files by path.
    pub(crate) fn files_of(&self, layer: usize) -> BTreeMap<String, Arc<str>> {
        let files = self.files.get(layer).into_iter().flatten();
        let text = |(path, read): (&String, &Result<u32, Unreadable>)| {
            let source = self.get(*read.as_ref().ok()?)?;
            Some((path.clone(), Arc::clone(&source.text)))
        };
        files.filter_map(text).collect()
    }

    /// Finds a file by path in the layer of the file `source`. Searches all layers, so use it for reports
    /// only.
    pub(crate) fn beside(&self, source: u32, path: &str) -> Option<u32> {
        let is_there = |read: &Result<u32, Unreadable>| read.as_ref().is_ok_and(|&at| at == source);
        let files = self.files.iter().find(|files| files.values().any(is_there))?;
        files.get(path)?.as_ref().ok().copied()
    }

    /// Records a file as unreadable.
    pub(crate) fn add_unreadable(&mut self, path: &str, unread: Unreadable) {
        self.record(path, Err(unread));
    }

    pub(crate) fn get(&self, source: u32) -> Option<&SourceFile> {
        self.list.get(source as usize)
    }

    /// Returns the recorded result for a file of the current layer.
    pub(crate) fn file(&self, path: &str) -> Option<&Result<u32, Unreadable>> {
        self.files.get(self.layer)?.get(path)
    }

    /// Returns the total size of all files, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn location(&self, span: Span) -> Option<Location> {
        Some(self.get(span.source)?.location(span.start as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::{STRIDE, SourceFile};

    /// Columns count characters, inside and at the ends of strides.
    #[test]
    fn columns_count_characters() {
        for text in ["é".repeat(STRIDE), format!("{}é", "x".repeat(STRIDE - 1)), "ab\né".into()]
        {
            let source = SourceFile::new("x".to_owned(), text.as_str().into());
            for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
                let wanted = text[line..at].chars().count() as u32 + 1;
                assert_eq!(source.location(at).column, wanted, "{at} of {}", text.len());
            }
        }
    }

    /// Every range stays inside one line, on character boundaries.
    #[test]
    fn clipped_ranges_are_inside_their_line() {
        for text in ["", "a", "a\r\r\r", "é\r\nü\n\n", "a\r\rb\n\r\r\r\nx"] {
            let source = SourceFile::new("x".to_owned(), text.into());
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
