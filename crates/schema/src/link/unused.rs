//! Warns about unused entries. Functions and processes are called from outside, so they are never unused.

use std::collections::{BTreeMap, HashSet};

use crisol_core::EntryId;

use super::context::LinkContext;
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;

/// Warns about each unused entry. Parents that linking filled in are used too, although no reference names
/// them.
pub(super) fn warn(entries: &BTreeMap<EntryId, Entry>, cx: &mut LinkContext<'_>) {
    let mut used: HashSet<&EntryId> = cx.links.iter().map(|link| &link.to).collect();
    used.extend(entries.values().filter_map(|entry| Some(entry.kind.content().parent()?.id())));
    for entry in entries.values().filter(|entry| !used.contains(&entry.id)) {
        let Some(help) = entry.kind.name().descriptor().unused else { continue };
        let message = format!("unused entry `{}`", entry.id);
        let report = Report::warning(Rule::UNUSED, message).help(format!("{help}, or remove it"));
        let span = cx.name_span(&entry.id);
        cx.diagnostics.push(span, Some(entry.id.clone()), None, report);
    }
}
