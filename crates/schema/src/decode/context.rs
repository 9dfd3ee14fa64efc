//! Trait of field types, and the context in which they are decoded.

use std::collections::BTreeSet;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace};

use super::describe::{describe, quoting_help};
use crate::files::AppFiles;
use crate::problems::{Diagnostics, Report};
use crate::role::Role;
use crate::rule::Rule;
use crate::source::{SourceMap, Span};
use crate::yaml::{Node, shorten};

/// Maximum length of a key shown whole in a path, in bytes: enough for names of variables.
const MAX_STEP: usize = 1024;

/// A type that a field can have.
pub(crate) trait Decode: Sized {
    /// Example of a value, for `help: add …`.
    const EXAMPLE: &'static str;

    /// Help for a missing value, in place of `add …`.
    const REMEDY: Option<&'static str> = None;

    /// Decodes the node. Returns `None` after reporting a problem.
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self>;

    /// Returns the value of an absent field; `None` for a required field.
    fn absent() -> Option<Self> {
        None
    }
}

/// A reference from one entry to another, resolved once all entries are known.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) from: EntryId,
    pub(crate) field: String,
    pub(crate) span: Span,
    pub(crate) to: EntryId,
    pub(crate) want: Role,
    /// True if `from` is a duplicate: another entry has this id.
    pub(crate) of_duplicate: bool,
}

/// Context of decoding: the current location, and the sinks for problems and references.
pub(crate) struct DecodeContext<'a> {
    pub(crate) diagnostics: &'a mut Diagnostics,
    pub(crate) sources: &'a mut SourceMap,
    pub(crate) files: &'a AppFiles,
    pub(crate) links: &'a mut Vec<Reference>,
    /// Interfaces that the embedding program implements.
    pub(crate) host_interfaces: &'a BTreeSet<String>,
    /// Transports of the embedding program.
    pub(crate) transports: &'a [Arc<str>],
    /// Current index file, relative to the app.
    pub(crate) file: &'a str,
    pub(crate) namespace: Namespace,
    pub(crate) entry: Option<EntryId>,
    /// Name of the location in messages while `path` is empty.
    pub(crate) root_name: String,
    /// Path of fields inside the entry, `wasi.mounts[0]`.
    pub(crate) path: String,
}

impl DecodeContext<'_> {
    pub(crate) fn report(&mut self, span: Span, report: Report) {
        let field = (!self.path.is_empty()).then(|| self.path.clone());
        self.diagnostics.push(Some(span), self.entry.clone(), field, report);
    }

    /// Records that a top-level field of the entry is present under a misspelt name.
    pub(crate) fn misspelt(&mut self, field: &str) {
        if let (Some(entry), true) = (&self.entry, self.path.is_empty()) {
            self.diagnostics.misspelt(entry, field);
        }
    }

    /// Runs `run` with a field name, or `[i]`, appended to the path.
    pub(crate) fn within<T>(&mut self, step: &str, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        if !self.path.is_empty() && !step.starts_with('[') {
            self.path.push('.');
        }
        if step.len() <= MAX_STEP {
            self.path.push_str(step)
        } else {
            self.path += &shorten(step)
        }
        let out = run(self);
        self.path.truncate(before);
        out
    }

    /// Runs `run` inside an entry, with an empty field path; without an id it changes nothing.
    pub(crate) fn in_entry<T>(
        &mut self,
        entry: Option<EntryId>,
        run: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if entry.is_none() {
            return run(self);
        }
        let path = std::mem::take(&mut self.path);
        let root_name = std::mem::replace(&mut self.root_name, "an entry".to_owned());
        let before = std::mem::replace(&mut self.entry, entry);
        let out = run(self);
        (self.path, self.root_name, self.entry) = (path, root_name, before);
        out
    }

    /// Returns the name of the current location for messages.
    pub(crate) fn current_name(&self) -> String {
        if self.path.is_empty() { self.root_name.clone() } else { format!("`{}`", self.path) }
    }

    /// Reports a value of the wrong type.
    pub(crate) fn wrong_type(&mut self, node: &Node, wanted: &str, example: &str) {
        let found = describe(node);
        let message = format!("{} must be {wanted}, not {found}", self.current_name());
        let report = Report::error(Rule::WRONG_TYPE, message);
        let report = match quoting_help(node, wanted) {
            Some(help) => report.help(help),
            None if example.is_empty() => report.help(format!("write {wanted}")),
            None => report.help(format!("write it like `{}`", self.example_line(example))),
        };
        self.report(node.span, report);
    }

    /// Formats `field: example`; inside a list, only the example.
    pub(crate) fn example_line(&self, example: &str) -> String {
        let last = self.path.rsplit('.').next().unwrap_or("");
        if last.is_empty() {
            return example.to_owned();
        }
        match last.split_once('[') {
            None => format!("{last}: {example}"),
            Some(_) => format!("- {example}"),
        }
    }

    /// Records a reference for linking.
    pub(crate) fn link(&mut self, span: Span, to: &EntryId, want: Role) {
        if let Some(from) = self.entry.clone() {
            let (field, to) = (self.path.clone(), to.clone());
            let of_duplicate = self.diagnostics.is_in_duplicate();
            self.links.push(Reference { from, field, span, to, want, of_duplicate });
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::decode(node, cx).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}
