//! State of linking beside the entries, and its reports.

use std::collections::HashMap;

use crisol_core::EntryId;

use crate::decode::Link;
use crate::locate::{self, Origin};
use crate::problems::{Report, Sink};
use crate::source::Span;

/// State of linking beside the entries.
pub(super) struct Scope<'a> {
    pub(super) origins: &'a HashMap<EntryId, Origin>,
    pub(super) links: &'a [Link],
    pub(super) sink: &'a mut Sink,
}

impl Scope<'_> {
    /// Returns the location of a field, or of the entry's head.
    pub(super) fn span(&self, id: &EntryId, field: &str) -> Option<Span> {
        if self.sink.is_full() {
            return None;
        }
        let origin = self.origins.get(id)?;
        Some(locate::exact(origin, field).map_or(origin.head, |node| node.span))
    }

    pub(super) fn name_span(&self, id: &EntryId) -> Option<Span> {
        self.origins.get(id).map(|origin| origin.name)
    }

    pub(super) fn report(&mut self, id: &EntryId, field: &str, report: Report) {
        let span = self.span(id, field);
        let field = (!field.is_empty()).then(|| field.to_owned());
        self.sink.push(span, Some(id.clone()), field, report);
    }
}
