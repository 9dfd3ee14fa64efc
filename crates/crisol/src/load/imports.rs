//! Comparison of the imports that methods may call with those that their entries declare.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crisol_core::{EntryId, printable, shorten};
use crisol_engine::Import;
use crisol_schema::{EntryField, Problems, Registry, Report, Rule};
use crisol_wit::UnknownFunction;

use super::guest_entry::GuestEntry;
use super::unused::{List, Unused};
use crate::call::{Linkage, UnmetImport, tokens};

/// An import that the entry does not declare.
const UNDECLARED_IMPORT: Rule = Rule::new("undeclared-import");
/// An import of a core module that nothing provides.
const UNKNOWN_IMPORT: Rule = Rule::new("unknown-import");
/// A declared import that the method does not reach.
const UNUSED_IMPORT: Rule = Rule::new("unused-import");

/// Imports that methods may call and that fail, by code and message: entries with both in common share one warning.
#[derive(Default)]
struct Failing(BTreeMap<([u8; 32], String), SharedReport>);

struct SharedReport {
    rule: Rule,
    help: String,
    entries: Vec<EntryId>,
}

impl Failing {
    /// Adds the imports that an entry does not declare.
    fn add_undeclared(&mut self, id: &EntryId, linkage: Linkage<'_>) {
        let unmet: Vec<_> = linkage.unmet().collect();
        if unmet.is_empty() {
            return;
        }
        let message = format!("the method may call {}", unserved(&unmet));
        self.add((id, linkage), UNDECLARED_IMPORT, message, || declare(&unmet));
    }

    /// Adds the imports that no entry could declare.
    fn add_unknown(&mut self, id: &EntryId, linkage: Linkage<'_>) {
        for (UnknownFunction { what, fix, .. }, names) in linkage.unknown() {
            let names = listed(names.iter().map(String::as_str));
            let message = format!("the method may call imports that nothing provides: {names}");
            self.add((id, linkage), UNKNOWN_IMPORT, message, || format!("{what}: {fix}"));
        }
    }

    fn add(
        &mut self,
        (id, linkage): (&EntryId, Linkage<'_>),
        rule: Rule,
        message: String,
        help: impl FnOnce() -> String,
    ) {
        let shared = self.0.entry((*linkage.code.as_bytes(), message));
        let new = || SharedReport { rule, help: help(), entries: Vec::new() };
        shared.or_insert_with(new).entries.push(id.clone());
    }

    /// Reports each collected warning at the first of its entries.
    fn report(self, registry: &Registry, problems: &mut Problems) {
        for ((_, message), SharedReport { rule, help, entries }) in self.0 {
            let Some((first, others)) = entries.split_first() else { continue };
            let also = match others {
                [] => String::new(),
                _ => format!(", as may those of {}", listed(others.iter().map(EntryId::as_str))),
            };
            let report = Report::warning(rule, message + &also).help(help);
            problems.at(registry, first, &EntryField::Imports, report);
        }
    }
}

/// Change of an entry's `imports` to match the imports that its method may call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportsFix {
    /// The entry.
    pub id: EntryId,
    /// Its index file, relative to the app.
    pub index: PathBuf,
    /// Tokens that its method needs and that it does not declare.
    pub added: BTreeSet<String>,
    /// Tokens that grant nothing that its method may call, or nothing beyond other tokens.
    pub removed: BTreeSet<String>,
    /// Tokens that are declared more than once; one of each stays.
    pub repeated: BTreeSet<String>,
}

/// A linked guest with its entry.
#[derive(Clone, Copy)]
pub(crate) struct Linked<'a> {
    pub(crate) guest: GuestEntry<'a>,
    pub(crate) linkage: Linkage<'a>,
    /// True if an undeclared import is an error.
    pub(crate) is_strict: bool,
}

/// Compares the imports of guests with those that their entries declare, and reports the differences. Returns the
/// changes that fix them.
pub(crate) fn compare<'a>(
    linked: impl Iterator<Item = Linked<'a>>,
    (registry, problems): (&Registry, &mut Problems),
) -> Vec<ImportsFix> {
    let mut fixes = Vec::new();
    let mut failing = Failing::default();
    for one in linked {
        if one.is_strict {
            refuse(&one.guest, one.linkage.imports, registry, problems);
        } else {
            failing.add_undeclared(one.guest.id, one.linkage);
            failing.add_unknown(one.guest.id, one.linkage);
        }
        fixes.extend(one.fix(registry));
        one.warn_unused(registry, problems);
        one.warn_without_effect(registry, problems);
    }
    failing.report(registry, problems);
    fixes
}

impl<'a> Linked<'a> {
    fn list(self) -> List<'a> {
        let Self { guest, linkage, is_strict } = self;
        List {
            declared: guest.imports,
            wasi: guest.wasi,
            imports: linkage.imports,
            reachable: linkage.reachable,
            is_command: linkage.is_command,
            is_strict,
        }
    }

    /// Returns the change that fixes the entry's `imports`; none if they are right.
    fn fix(self, registry: &Registry) -> Option<ImportsFix> {
        let Self { guest, linkage, .. } = self;
        let (id, mut added) = (guest.id.clone(), linkage.undeclared());
        added.extend(linkage.unseen(guest.wasi));
        let removed = self.list().unused(&added).into_iter().map(|(token, _)| token);
        let removed: BTreeSet<_> = removed.collect();
        let repeated = guest.imports.duplicates().map(str::to_owned);
        let repeated: BTreeSet<_> = repeated.filter(|token| !removed.contains(token)).collect();
        let is_right = added.is_empty() && removed.is_empty() && repeated.is_empty();
        let place = registry.origin(&id).filter(|_| !is_right)?;
        Some(ImportsFix { id, index: place.file.into(), added, removed, repeated })
    }

    /// Warns of unused and repeated tokens.
    fn warn_unused(self, registry: &Registry, problems: &mut Problems) {
        let Self { guest, .. } = self;
        let method = guest.method.as_str();
        let unused = self.list().unused(&BTreeSet::new()).into_iter();
        let unused = unused.map(|(token, why)| match why {
            Unused::NotImported => {
                format!("`{token}` is declared, but the code does not import it")
            }
            Unused::NotReached => format!("`{token}` is declared, but `{method}` cannot reach it"),
            Unused::Covered => {
                format!("`{token}` is declared, but others grant all of it that `{method}` needs")
            }
        });
        let repeated = guest.imports.duplicates();
        let repeated = repeated.map(|token| format!("`{token}` is declared more than once"));
        for message in unused.chain(repeated) {
            let report = Report::warning(UNUSED_IMPORT, message)
                .help("remove it, as `crisol check --fix` does");
            problems.at(registry, guest.id, &EntryField::Imports, report);
        }
    }

    /// Warns of fields without effect on the guest.
    fn warn_without_effect(self, registry: &Registry, problems: &mut Problems) {
        let Self { guest, linkage, .. } = self;
        if let Some(why) = linkage.plan.cwd_problem() {
            let (cwd, message) = (guest.wasi.cwd.as_str(), "relative paths do not begin in");
            let report = Report::warning(Rule::NO_EFFECT, format!("{message} `{cwd}`")).help(why);
            problems.at(registry, guest.id, &EntryField::WasiCwd, report);
        }
        if let (true, Some(package)) = (guest.wasi.network.is_empty(), linkage.network()) {
            let token = package.token();
            let message = format!("`{token}` is declared, but `wasi.network` lists no peer");
            let help = "add the peers to `wasi.network`, such as \"api.example.com:443\"";
            let report = Report::warning(Rule::NO_EFFECT, message).help(help);
            problems.at(registry, guest.id, &EntryField::Imports, report);
        }
    }
}

/// Reports an error if code has an undeclared import, whether or not the method may call it.
pub(crate) fn refuse(
    guest: &GuestEntry<'_>,
    imports: &[Import],
    registry: &Registry,
    problems: &mut Problems,
) {
    let unmet = imports.iter().filter_map(|import| {
        let [denied, missing] =
            [&import.denied, &import.missing].map(|all| all.iter().map(String::as_str));
        UnmetImport::new(import, denied, missing)
    });
    let unmet: Vec<_> = unmet.collect();
    if unmet.is_empty() {
        return;
    }
    let message = format!("the code imports {}", unserved(&unmet));
    let report = Report::error(UNDECLARED_IMPORT, message).help(declare(&unmet));
    problems.at(registry, guest.id, &EntryField::Imports, report);
}

/// Lists the imports that a grant would serve, and those that this host does not have.
fn unserved(unmet: &[UnmetImport<'_>]) -> String {
    let denied: BTreeSet<_> = unmet.iter().flat_map(|import| &import.denied).collect();
    let all = [("what is not declared", denied), ("what this host does not have", missing(unmet))];
    let some = all.into_iter().filter(|(_, names)| !names.is_empty());
    let parts = some
        .map(|(what, names)| format!("{what}: {}", listed(names.into_iter().map(String::as_str))));
    parts.collect::<Vec<_>>().join("; and ")
}

/// Functions that no host function serves.
fn missing<'a>(unmet: &'a [UnmetImport<'_>]) -> BTreeSet<&'a String> {
    unmet.iter().flat_map(|import| &import.missing).collect()
}

/// Writes the advice for imports that fail.
fn declare(unmet: &[UnmetImport<'_>]) -> String {
    let (tokens, missing) = (tokens(unmet), missing(unmet));
    let mut help = Vec::new();
    if !tokens.is_empty() {
        help.push(format!(
            "add those that calls need to `imports`: {}",
            listed(tokens.iter().map(String::as_str))
        ));
    }
    if !missing.is_empty() {
        let names = listed(missing.into_iter().map(String::as_str));
        help.push(format!("no host function serves {names}: a call that uses it fails"));
    }
    help.join("; ")
}

/// Limits of a message's list, in bytes of all names and characters of each: code may import a million functions with
/// names of any length.
const MOST_LISTED: usize = 8 << 10;
const LONGEST_LISTED: usize = 200;

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let mut listed = String::new();
    let mut more = names.len();
    for name in names {
        if listed.len() > MOST_LISTED {
            return format!("{listed} and {more} more");
        }
        more -= 1;
        let comma = if listed.is_empty() { "" } else { ", " };
        let name = shorten(name, LONGEST_LISTED);
        listed.push_str(&format!("{comma}`{}`", printable(&name)));
    }
    listed
}
