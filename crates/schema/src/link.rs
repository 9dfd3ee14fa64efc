//! Checks entries against one another: references, cycles, routes, names, unused entries.

mod context;
mod env;
mod http;
mod preflight;
mod unused;

use std::collections::{BTreeMap, HashMap};

use crisol_core::{EntryId, suggest};

use context::LinkContext;

use crate::decode::Reference;
use crate::field::EntryField;
use crate::kinds::KindName;
use crate::locate::EntryOrigin;
use crate::problems::{Diagnostics, Report};
use crate::registry::Entry;
use crate::rule::Rule;

/// Facts about every entry, including entries that could not be read.
#[derive(Clone, Copy)]
pub(crate) struct EntryKinds<'a> {
    /// Kinds by id; `None` for a misspelt kind.
    pub(crate) kinds: &'a HashMap<EntryId, Option<KindName>>,
    /// True if some ids are not known. Dangling references are not reported then.
    pub(crate) has_unknown_ids: bool,
}

/// Runs every check that needs more than one entry, and fills in omitted routers and services.
pub(crate) fn link(
    entries: &mut BTreeMap<EntryId, Entry>,
    all: &EntryKinds<'_>,
    origins: &HashMap<EntryId, EntryOrigin>,
    links: &[Reference],
    diagnostics: &mut Diagnostics,
) {
    references(all, links, diagnostics);
    let mut cx = LinkContext { origins, links, diagnostics };
    env::cycles(entries, &mut cx);
    env::shadowed(entries, &mut cx);
    env::missing_values(entries, &mut cx);
    http::parents(entries, all.kinds, &mut cx);
    http::addresses(entries, &mut cx);
    http::routes(entries, all.kinds, &mut cx);
    preflight::warn(entries, all.kinds, &mut cx);
    commands(entries, &mut cx);
    // An entry that could not be read may be the one user of another.
    if !cx.diagnostics.has_errors() {
        unused::warn(entries, &mut cx);
    }
}

fn references(all: &EntryKinds<'_>, links: &[Reference], diagnostics: &mut Diagnostics) {
    let mut known = SuggestionIndex::new(all.kinds);
    for link in links {
        let report = match all.kinds.get(&link.to) {
            // A misspelt kind is reported at its own location.
            Some(None) => continue,
            Some(Some(kind)) if kind.plays(link.want) => continue,
            Some(Some(kind)) => wrong_kind(link, *kind),
            None if all.has_unknown_ids => continue,
            None if diagnostics.is_full() => dangling(link),
            None => dangling(link).help(known.help(link)),
        };
        diagnostics.set_in_duplicate(link.of_duplicate);
        diagnostics.push(
            Some(link.span),
            Some(link.from.clone()),
            Some(link.field.clone()),
            report,
        );
    }
    diagnostics.set_in_duplicate(false);
}

fn role_kinds(link: &Reference) -> String {
    if let Some(family) = link.want.family() {
        return format!("`{family}`");
    }
    let kinds = KindName::all().filter(|kind| kind.plays(link.want));
    let words: Vec<&str> = kinds.map(KindName::as_str).collect();
    suggest::list(&words).replace(", ", " or ")
}

fn wrong_kind(link: &Reference, kind: KindName) -> Report {
    let message = format!("`{}` is of kind `{kind}`, expected {}", link.to, role_kinds(link));
    Report::error(Rule::WRONG_KIND, message)
        .help(format!("name an entry of kind {}", role_kinds(link)))
}

fn dangling(link: &Reference) -> Report {
    Report::error(Rule::DANGLING_REFERENCE, format!("unknown entry `{}`", link.to))
}

/// Budget for nearest-id searches in one app: a fraction of a second.
const SEARCHES: u64 = 100_000_000;

/// Ids of an app, for suggestions in place of dangling references.
struct SuggestionIndex<'k> {
    /// Sorted ids; filled on the first search.
    ids: Vec<(&'k EntryId, Option<KindName>)>,
    by_name: HashMap<&'k str, Vec<usize>>,
    kinds: &'k HashMap<EntryId, Option<KindName>>,
    budget: suggest::Budget,
}

impl<'k> SuggestionIndex<'k> {
    fn new(kinds: &'k HashMap<EntryId, Option<KindName>>) -> Self {
        let budget = suggest::Budget::new(SEARCHES);
        Self { ids: Vec::new(), by_name: HashMap::new(), kinds, budget }
    }

    fn fill(&mut self) {
        if self.ids.is_empty() {
            self.ids = self.kinds.iter().map(|(id, kind)| (id, *kind)).collect();
            self.ids.sort_unstable_by_key(|(id, _)| *id);
            for (at, (id, _)) in self.ids.iter().enumerate() {
                self.by_name.entry(id.name()).or_default().push(at);
            }
        }
    }

    /// Returns the help for a dangling reference.
    fn help(&mut self, link: &Reference) -> String {
        self.fill();
        let fits = |kind: Option<KindName>| kind.is_none_or(|kind| kind.plays(link.want));
        let (ids, budget) = (&self.ids, &mut self.budget);
        let fitting = || ids.iter().filter(|(_, kind)| fits(*kind)).map(|(id, _)| *id);
        let namesakes = self.by_name.get(link.to.name()).map_or(&[][..], Vec::as_slice);
        let same_name = namesakes.iter().filter_map(|&at| ids.get(at));
        let same_name = same_name.filter(|(_, kind)| fits(*kind)).map(|(id, _)| id.as_str()).next();
        let near = || {
            let ids = fitting().map(EntryId::as_str);
            suggest::nearest_within(link.to.as_str(), ids, budget)
        };
        if let Some(near) = same_name.or_else(near) {
            return format!("did you mean `{near}`?");
        }
        let add = format!("add an entry `{}` of kind {}", link.to, role_kinds(link));
        let few: Vec<&str> = fitting().map(EntryId::as_str).take(FEW + 1).collect();
        match few.len() {
            1..=FEW => format!("{add}, or use {}", suggest::list(&few)),
            _ => add,
        }
    }
}

/// Maximum number of ids in the help if none is near.
const FEW: usize = 5;

/// Reports commands with the same name.
fn commands(entries: &BTreeMap<EntryId, Entry>, cx: &mut LinkContext<'_>) {
    let mut seen = HashMap::new();
    for entry in entries.values() {
        let Some(command) = entry.kind.content().command() else { continue };
        let Some(first) = seen.insert(command, &entry.id) else { continue };
        seen.insert(command, first);
        let message = format!("duplicate command name `{command}`");
        let report = Report::error(Rule::DUPLICATE, message)
            .related(cx.span(first, &EntryField::CommandName), "first here")
            .help("rename one of the two");
        cx.report(&entry.id, &EntryField::CommandName, report);
    }
}
