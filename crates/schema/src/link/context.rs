//! State of linking beside the entries, and its reports.

use std::collections::HashMap;

use crisol_core::EntryId;

use crate::decode::Reference;
use crate::field::EntryField;
use crate::locate::{self, EntryOrigin};
use crate::problems::{Diagnostics, Report};
use crate::source::Span;

/// State of linking beside the entries.
pub(super) struct LinkContext<'a> {
    pub(super) origins: &'a HashMap<EntryId, EntryOrigin>,
    pub(super) links: &'a [Reference],
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl LinkContext<'_> {
    /// Returns the location of a field, or of the entry's head.
    pub(super) fn span(&self, id: &EntryId, field: &EntryField) -> Option<Span> {
        if self.diagnostics.is_full() {
            return None;
        }
        let origin = self.origins.get(id)?;
        Some(locate::node(origin, field).map_or(origin.head, |node| node.span))
    }

    pub(super) fn name_span(&self, id: &EntryId) -> Option<Span> {
        self.origins.get(id).map(|origin| origin.name)
    }

    pub(super) fn report(&mut self, id: &EntryId, field: &EntryField, report: Report) {
        let span = self.span(id, field);
        self.diagnostics.push(span, Some(id.clone()), Some(field.to_string()), report);
    }
}
