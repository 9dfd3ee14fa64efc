//! The trait of types that fields have, and the place that reading has come to.

use std::collections::BTreeSet;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace};

use super::describe::{describe, quoting_help};
use crate::files::Files;
use crate::problems::{Report, Sink};
use crate::role::Role;
use crate::rule::Rule;
use crate::source::{Sources, Span};
use crate::yaml::{Node, shorten};

/// The longest key that a path shows whole, in bytes: as long as the names of variables.
const MAX_STEP: usize = 1024;

/// A type that a field of the file can have.
pub(crate) trait Decode: Sized {
    /// How a value of it is written, for `help: add …`.
    const EXAMPLE: &'static str;

    /// The help when it is missing, in place of `add …`.
    const REMEDY: Option<&'static str> = None;

    /// Reads the node. `None` means that a problem was reported.
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self>;

    /// What a field that is not there means; `None` means that it must be there.
    fn absent() -> Option<Self> {
        None
    }
}

/// A reference from one entry to another, to be looked up when all entries are known.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) from: EntryId,
    pub(crate) field: String,
    pub(crate) span: Span,
    pub(crate) to: EntryId,
    pub(crate) want: Role,
    /// `from` is not the entry that this id stands for, but another of the same id.
    pub(crate) of_second: bool,
}

/// Where the reading stands.
pub(crate) struct Cx<'a> {
    pub(crate) sink: &'a mut Sink,
    pub(crate) sources: &'a mut Sources,
    pub(crate) files: &'a Files,
    pub(crate) links: &'a mut Vec<Link>,
    /// Interfaces that the program which loads the app serves itself.
    pub(crate) own_interfaces: &'a BTreeSet<String>,
    /// Transports that the program brings.
    pub(crate) transports: &'a [Arc<str>],
    /// The index file that is being read, relative to the app.
    pub(crate) file: &'a str,
    pub(crate) namespace: Namespace,
    pub(crate) entry: Option<EntryId>,
    /// What a problem calls the place while `path` is empty.
    pub(crate) what: String,
    /// The path of fields inside the entry, `wasi.mounts[0]`.
    pub(crate) path: String,
}

impl Cx<'_> {
    pub(crate) fn report(&mut self, span: Span, report: Report) {
        let field = (!self.path.is_empty()).then(|| self.path.clone());
        self.sink.push(Some(span), self.entry.clone(), field, report);
    }

    /// Notes that a field stands here under a name that is none: of the entry itself, if this is its top.
    pub(crate) fn misspelt(&mut self, field: &str) {
        if let (Some(entry), true) = (&self.entry, self.path.is_empty()) {
            self.sink.misspelt(entry, field);
        }
    }

    /// Runs with a field's name, or `[i]`, added to the path.
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

    /// Runs inside an entry, its fields' paths beginning anew; without an id nothing changes.
    pub(crate) fn about<T>(
        &mut self,
        entry: Option<EntryId>,
        run: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if entry.is_none() {
            return run(self);
        }
        let path = std::mem::take(&mut self.path);
        let what = std::mem::replace(&mut self.what, "an entry".to_owned());
        let before = std::mem::replace(&mut self.entry, entry);
        let out = run(self);
        (self.path, self.what, self.entry) = (path, what, before);
        out
    }

    /// What the current place is called in a message.
    pub(crate) fn here(&self) -> String {
        if self.path.is_empty() { self.what.clone() } else { format!("`{}`", self.path) }
    }

    /// Reports a value of another type than the field's.
    pub(crate) fn wrong_type(&mut self, node: &Node, wanted: &str, example: &str) {
        let found = describe(node);
        let message = format!("{} must be {wanted}, not {found}", self.here());
        let report = Report::error(Rule::WRONG_TYPE, message);
        let report = match quoting_help(node, wanted) {
            Some(help) => report.help(help),
            None if example.is_empty() => report.help(format!("write {wanted}")),
            None => report.help(format!("write it like `{}`", self.sample(example))),
        };
        self.report(node.span, report);
    }

    /// `field: example`, or just the example inside a list.
    pub(crate) fn sample(&self, example: &str) -> String {
        let last = self.path.rsplit('.').next().unwrap_or("");
        if last.is_empty() {
            return example.to_owned();
        }
        match last.split_once('[') {
            None => format!("{last}: {example}"),
            Some(_) => format!("- {example}"),
        }
    }

    /// Notes a reference.
    pub(crate) fn link(&mut self, span: Span, to: &EntryId, want: Role) {
        if let Some(from) = self.entry.clone() {
            let (field, to) = (self.path.clone(), to.clone());
            let of_second = self.sink.is_in_second();
            self.links.push(Link { from, field, span, to, want, of_second });
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::decode(node, cx).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}
