//! Storages that ask storages.

use std::collections::{BTreeMap, HashMap};

use crisol_core::EntryId;

use super::Scope;
use crate::kinds::{EnvStorage, Kind};
use crate::problems::{Report, Rule};
use crate::registry::Entry;

/// The storages that a storage asks.
fn asks<'e>(entries: &'e BTreeMap<EntryId, Entry>, id: &EntryId) -> &'e [EntryId] {
    match entries.get(id).map(|entry| &entry.kind) {
        Some(Kind::EnvStorage(EnvStorage::Router { storages })) => storages,
        _ => &[],
    }
}

/// Reports each ring of routers once, at the reference that closes it. Walks on a stack of its own: a
/// chain may be as long as the app.
pub(super) fn rings(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let mut done: HashMap<&EntryId, bool> = HashMap::new();
    for start in entries.keys() {
        if done.contains_key(start) {
            continue;
        }
        done.insert(start, false);
        let mut path: Vec<(&EntryId, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.last_mut() {
            let id = *id;
            let Some(inner) = asks(entries, id).get(*next) else {
                done.insert(id, true);
                path.pop();
                continue;
            };
            let at = *next;
            *next += 1;
            match done.get(inner) {
                Some(true) => {}
                Some(false) => ring(&path, inner, id, at, scope),
                None => {
                    done.insert(inner, false);
                    path.push((inner, 0));
                }
            }
        }
    }
}

fn ring(
    path: &[(&EntryId, usize)],
    back: &EntryId,
    id: &EntryId,
    at: usize,
    scope: &mut Scope<'_>,
) {
    let from = path.iter().position(|(step, _)| *step == back).unwrap_or(0);
    let ring = path.iter().skip(from).map(|(step, _)| *step).chain([back]);
    let ring: Vec<String> = ring.map(|step| format!("`{step}`")).collect();
    let shown = match ring.as_slice() {
        [first, .., last] if ring.len() > 8 => format!("{first} → … → {last}"),
        all => all.join(" → "),
    };
    let report = Report::error(Rule::CYCLE, format!("storages ask one another in a ring: {shown}"))
        .also(scope.name_span(back), "the ring begins here")
        .help("remove this reference");
    scope.report(id, &format!("storages[{at}]"), report);
}

/// Warns of a value that a router never gives, since a storage before it has one by that name.
pub(super) fn shadowed(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    for router in entries.keys() {
        let mut seen: HashMap<&str, &EntryId> = HashMap::new();
        for storage in asks(entries, router) {
            let Some(Kind::EnvStorage(EnvStorage::Static { values })) =
                entries.get(storage).map(|entry| &entry.kind)
            else {
                continue;
            };
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
