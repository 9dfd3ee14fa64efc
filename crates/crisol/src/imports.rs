//! What code imports beside what its entry declares.

use std::collections::BTreeSet;

use crisol_core::shorten;
use crisol_engine::Import;
use crisol_schema::{Imports, Problems, Registry, Report, Rule};

use crate::guest::Guest;

/// An import that the entry does not declare.
const UNDECLARED_IMPORT: Rule = Rule::new("undeclared-import");
/// A declared import that the code does not have.
const UNUSED_IMPORT: Rule = Rule::new("unused-import");

/// Reports what the code imports and the entry does not declare, and the other way round.
pub(crate) fn compare(
    guest: &Guest<'_>,
    imports: &[Import],
    strict: bool,
    registry: &Registry,
    problems: &mut Problems,
) {
    let mut report = |report| problems.at(registry, guest.id, "imports", report);
    let undeclared: Vec<_> =
        imports.iter().filter(|import| import.callable && !import.granted).collect();
    if !undeclared.is_empty() {
        let strict = strict || guest.strict_imports;
        let severity = if strict { Report::error } else { Report::warning };
        let names = listed(undeclared.iter().map(|import| import.name.as_str()));
        let message = format!("the code imports what is not declared: {names}");
        report(severity(UNDECLARED_IMPORT, message).help(declare(&undeclared)));
    }
    let tokens = guest.imports.iter();
    let unused = tokens.filter(|token| !imports.iter().any(|one| token.grants(&one.name)));
    let own = guest.imports.own();
    let unused_own =
        own.filter(|own| !imports.iter().any(|one| one.interface.as_deref() == Some(*own)));
    for token in unused.map(|token| token.to_string()).chain(unused_own.map(str::to_owned)) {
        let message = format!("`{token}` is declared, and the code does not import it");
        report(Report::warning(UNUSED_IMPORT, message).help("leave it out"));
    }
}

/// What a function would have to declare for all that its code imports.
pub(crate) fn undeclared(imports: &[Import]) -> BTreeSet<String> {
    let missing = imports.iter().filter(|import| import.callable && !import.granted);
    missing.filter_map(|import| import.interface.as_deref().map(token)).collect()
}

/// What an entry declares for a host interface, its version left out: the package of one of the runtime's own,
/// the name itself of one of the embedding program's.
pub(crate) fn token(interface: &str) -> String {
    let own = || interface.split('@').next().unwrap_or(interface);
    Imports::token_for(interface).unwrap_or_else(own).to_owned()
}

/// What to do about imports that are not declared.
fn declare(undeclared: &[&Import]) -> String {
    let tokens: BTreeSet<_> =
        undeclared.iter().filter_map(|import| import.interface.as_deref().map(token)).collect();
    let unknown: Vec<_> = undeclared.iter().filter(|import| import.interface.is_none()).collect();
    let mut help = Vec::new();
    if !tokens.is_empty() {
        help.push(format!(
            "add those that calls need to `imports`: {}",
            listed(tokens.iter().map(String::as_str))
        ));
    }
    if !unknown.is_empty() {
        let names = listed(unknown.iter().map(|import| import.name.as_str()));
        help.push(format!("no host function serves {names}: a call that uses it fails"));
    }
    help.join("; ")
}

/// Names that a message lists, and characters of each: code may import a million things by names of any length.
const MOST_LISTED: usize = 40;
const LONGEST_LISTED: usize = 200;

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_LISTED);
    let shown = names.take(MOST_LISTED).map(|name| shorten(name, LONGEST_LISTED));
    let quoted = shown.map(|name| format!("`{name}`"));
    let listed = quoted.collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}
