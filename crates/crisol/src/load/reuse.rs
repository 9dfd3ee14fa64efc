//! Reuse between generations: entries without changes, whose functions a new generation takes over.

use std::collections::HashSet;

use crisol_core::EntryId;
use crisol_schema::{Entry, Registry};

use super::kinds::slice_of;
use crate::app::{Generation, HostResources};

/// Returns the functions and handlers that have not changed since the generation before, dependencies included.
pub(crate) fn unchanged(
    before: &Generation,
    registry: &Registry,
    resources: &HostResources,
) -> HashSet<EntryId> {
    let reuse = Reuse { before, registry, resources };
    let callees = registry.iter().map(|entry| &entry.id).filter(|id| before.has_callee(id));
    callees.filter(|id| reuse.is_unchanged(id)).cloned().collect()
}

struct Reuse<'a> {
    before: &'a Generation,
    registry: &'a Registry,
    resources: &'a HostResources,
}

impl Reuse<'_> {
    /// Tells whether an entry and all its dependencies have not changed.
    fn is_unchanged(&self, id: &EntryId) -> bool {
        let mut seen = HashSet::new();
        // An explicit stack: a chain of routers may be as long as the app.
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            if !self.is_same(id) {
                return false;
            }
            let entry = self.registry.get(id.as_str());
            next.extend(entry.into_iter().flat_map(|entry| slice_of(&entry.kind).depends_on()));
        }
        true
    }

    /// Tells whether an entry itself has not changed, dependencies aside.
    fn is_same(&self, id: &EntryId) -> bool {
        let (old, new) = (self.before.registry().get(id.as_str()), self.registry.get(id.as_str()));
        let is_same =
            |new: &Entry| slice_of(&new.kind).is_same(id, self.before.resources(), self.resources);
        old == new && new.is_some_and(is_same)
    }
}
