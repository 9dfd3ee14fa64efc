//! Checks of variables and their storages: cycles, shadowed values, missing values.

use std::collections::{BTreeMap, HashMap, HashSet};

use crisol_core::{EntryId, suggest};

use super::scope::Scope;
use crate::kinds::{EnvStorage, Kind};
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;

/// Returns the storages that a storage delegates to.
fn asks<'e>(entries: &'e BTreeMap<EntryId, Entry>, id: &EntryId) -> &'e [EntryId] {
    entries.get(id).map_or(&[], |entry| entry.kind.content().asks())
}

/// Progress of the walk for a storage.
#[derive(Clone, Copy)]
enum Walk {
    /// On the current path, at this index: another visit closes a cycle.
    Step(usize),
    /// Visited, with everything below it.
    Done,
}

/// Reports each cycle of routers once, at the reference that closes it. Walks on an explicit stack, since a
/// chain may be as long as the app.
pub(super) fn rings(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let mut walked: HashMap<&EntryId, Walk> = HashMap::new();
    for start in entries.keys() {
        if walked.contains_key(start) {
            continue;
        }
        walked.insert(start, Walk::Step(0));
        let mut path: Vec<(&EntryId, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.last_mut() {
            let id = *id;
            let Some(inner) = asks(entries, id).get(*next) else {
                walked.insert(id, Walk::Done);
                path.pop();
                continue;
            };
            *next += 1;
            match walked.get(inner) {
                Some(Walk::Done) => {}
                Some(&Walk::Step(at)) => ring(path.get(at..).unwrap_or(&[]), scope),
                None => {
                    walked.insert(inner, Walk::Step(path.len()));
                    path.push((inner, 0));
                }
            }
        }
    }
}

/// Maximum number of routers named in a cycle; a longer one shows its ends.
const SHOWN: usize = 7;

/// Reports a cycle: each step has a storage and the number of its visited references.
fn ring(steps: &[(&EntryId, usize)], scope: &mut Scope<'_>) {
    let ([(first, _), ..], [.., (last, looked_at)]) = (steps, steps) else { return };
    let shown = if steps.len() > SHOWN {
        format!("`{first}` → … → `{last}` → `{first}`")
    } else {
        let names: Vec<String> = steps.iter().map(|(step, _)| format!("`{step}`")).collect();
        format!("{} → `{first}`", names.join(" → "))
    };
    let report = Report::error(Rule::CYCLE, format!("storages ask one another in a ring: {shown}"))
        .also(scope.name_span(first), "the ring begins here")
        .help("remove this reference");
    scope.report(last, &format!("storages[{}]", looked_at.saturating_sub(1)), report);
}

/// Maximum number of names compared for shadowing. Routers that all list the same large storages would
/// otherwise take quadratic time.
const MAX_NAMES: usize = 2_000_000;

/// Warns about values that a router never returns because an earlier storage has the same name.
pub(super) fn shadowed(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let mut left = MAX_NAMES;
    for router in entries.keys() {
        let mut seen: HashMap<&str, &EntryId> = HashMap::new();
        let mut storages: HashSet<&EntryId> = HashSet::new();
        for storage in asks(entries, router).iter().filter(|storage| storages.insert(storage)) {
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
                let field = format!("values.{name}");
                let message =
                    format!("`{name}` of `{storage}` is shadowed by `{first}` in `{router}`");
                let report = Report::warning(Rule::NO_EFFECT, message)
                    .also(scope.span(first, &field), "this one is given")
                    .help("remove one of the two, or change the order of `storages`");
                scope.report(storage, &field, report);
            }
        }
    }
}

/// Maximum number of names in the help if none is near.
const LISTED: usize = 5;

/// Budget for nearest-name searches in one app.
const SEARCHES: u64 = 20_000_000;

/// Warns about variables that never have a value: no default, and a static storage without the name.
pub(super) fn unset(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
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
        if values.contains_key(name) || scope.sink.is_full() {
            continue;
        }
        let message = format!("`{storage}` has no value `{name}`, and there is no default");
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
            .also(scope.span(storage, "values"), "the values")
            .help(help);
        scope.report(&entry.id, "variable", report);
    }
}
