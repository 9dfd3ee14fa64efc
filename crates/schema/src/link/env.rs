//! Checks of variables and their storages: cycles, shadowed values, missing values.

use std::collections::{BTreeMap, HashMap, HashSet};

use crisol_core::{EntryId, suggest};

use super::context::LinkContext;
use crate::field::EntryField;
use crate::kinds::{EnvStorage, Kind};
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;

/// Returns the storages that a storage delegates to.
fn delegates<'e>(entries: &'e BTreeMap<EntryId, Entry>, id: &EntryId) -> &'e [EntryId] {
    entries.get(id).map_or(&[], |entry| entry.kind.content().delegates_to())
}

/// Progress of the walk for a storage.
#[derive(Clone, Copy)]
enum Visit {
    /// On the current path, at this index: another visit closes a cycle.
    Step(usize),
    /// Visited, with everything below it.
    Done,
}

/// Reports each cycle of routers once, at the reference that closes it. Walks on an explicit stack, since a
/// chain may be as long as the app.
pub(super) fn cycles(entries: &BTreeMap<EntryId, Entry>, cx: &mut LinkContext<'_>) {
    let mut walked: HashMap<&EntryId, Visit> = HashMap::new();
    for start in entries.keys() {
        if walked.contains_key(start) {
            continue;
        }
        walked.insert(start, Visit::Step(0));
        let mut path: Vec<(&EntryId, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.last_mut() {
            let id = *id;
            let Some(inner) = delegates(entries, id).get(*next) else {
                walked.insert(id, Visit::Done);
                path.pop();
                continue;
            };
            *next += 1;
            match walked.get(inner) {
                Some(Visit::Done) => {}
                Some(&Visit::Step(at)) => report_cycle(path.get(at..).unwrap_or(&[]), cx),
                None => {
                    walked.insert(inner, Visit::Step(path.len()));
                    path.push((inner, 0));
                }
            }
        }
    }
}

/// Maximum number of routers named in a cycle; a longer one shows its ends.
const SHOWN: usize = 7;

/// Reports a cycle: each step has a storage and the number of its visited references.
fn report_cycle(steps: &[(&EntryId, usize)], cx: &mut LinkContext<'_>) {
    let ([(first, _), ..], [.., (last, visited)]) = (steps, steps) else { return };
    let shown = if steps.len() > SHOWN {
        format!("`{first}` → … → `{last}` → `{first}`")
    } else {
        let names: Vec<String> = steps.iter().map(|(step, _)| format!("`{step}`")).collect();
        format!("{} → `{first}`", names.join(" → "))
    };
    let report = Report::error(Rule::CYCLE, format!("cycle of storages: {shown}"))
        .related(cx.name_span(first), "the cycle begins here")
        .help("remove this reference");
    cx.report(last, &EntryField::StorageAt(visited.saturating_sub(1)), report);
}

/// Maximum number of names compared for shadowing. Routers that all list the same large storages would
/// otherwise take quadratic time.
const MAX_NAMES: usize = 2_000_000;

/// Warns about values that a router never returns because an earlier storage has the same name.
pub(super) fn shadowed(entries: &BTreeMap<EntryId, Entry>, cx: &mut LinkContext<'_>) {
    let mut left = MAX_NAMES;
    for router in entries.keys() {
        let mut seen: HashMap<&str, &EntryId> = HashMap::new();
        let mut storages: HashSet<&EntryId> = HashSet::new();
        for storage in delegates(entries, router).iter().filter(|storage| storages.insert(storage))
        {
            let Some(Kind::EnvStorage(EnvStorage::Static { values })) =
                entries.get(storage).map(|entry| &entry.kind)
            else {
                continue;
            };
            let Some(rest) = left.checked_sub(values.len()) else { return };
            left = rest;
            for name in values.keys() {
                let Some(first) = seen.get(name.as_str()).copied() else {
                    seen.insert(name.as_str(), storage);
                    continue;
                };
                let field = EntryField::Value(name.as_str().into());
                let message =
                    format!("`{name}` of `{storage}` is shadowed by `{first}` in `{router}`");
                let report = Report::warning(Rule::NO_EFFECT, message)
                    .related(cx.span(first, &field), "this one is used")
                    .help("remove one of the two, or change the order of `storages`");
                cx.report(storage, &field, report);
            }
        }
    }
}

/// Maximum number of names in the help if none is near.
const LISTED: usize = 5;

/// Budget for nearest-name searches in one app.
const SEARCHES: u64 = 20_000_000;

/// Warns about variables that never have a value: no default, and a static storage without the name.
pub(super) fn missing_values(entries: &BTreeMap<EntryId, Entry>, cx: &mut LinkContext<'_>) {
    let mut budget = suggest::Budget::new(SEARCHES);
    for entry in entries.values() {
        let Kind::EnvVariable(variable) = &entry.kind else { continue };
        let (None, Some(storage)) = (&variable.default, &variable.storage) else { continue };
        let Some(Kind::EnvStorage(EnvStorage::Static { values })) =
            entries.get(storage).map(|entry| &entry.kind)
        else {
            continue;
        };
        let name = &variable.variable;
        if values.contains_key(name) || cx.diagnostics.is_full() {
            continue;
        }
        let message = format!("`{storage}` has no value `{name}`, and the variable has no default");
        let names = values.keys().map(|name| name.as_str());
        let help = match suggest::nearest_within(name.as_str(), names.clone(), &mut budget) {
            Some(near) => format!("did you mean `{near}`?"),
            None if values.is_empty() || values.len() > LISTED => {
                format!("add `{name}` to its `values`, or a `default` here")
            }
            None => {
                let names: Vec<&str> = names.collect();
                format!("use one of {}, or add a `default`", suggest::list(&names))
            }
        };
        let report = Report::warning(Rule::NO_EFFECT, message)
            .related(cx.span(storage, &EntryField::Values), "the values")
            .help(help);
        cx.report(&entry.id, &EntryField::Variable, report);
    }
}
