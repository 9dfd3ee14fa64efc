//! What methods may call of the host, held against what their entries declare.

use std::collections::{BTreeMap, BTreeSet};

use crisol_core::{EntryId, printable, shorten};
use crisol_engine::{Compiled, Digest, Import, Reached};
use crisol_schema::{Imports, Package, Problems, Registry, Report, Rule, Wasi};

use crisol_wasi::Plan;
use crisol_wit::UnknownFunction;

use crate::fix::ImportsFix;
use crate::guest::Guest;
use crate::unused::{List, Unused};

/// An import that the entry does not declare.
const UNDECLARED_IMPORT: Rule = Rule::new("undeclared-import");
/// An import of a core module that nothing provides.
const UNKNOWN_IMPORT: Rule = Rule::new("unknown-import");
/// A declared import that the method does not reach.
const UNUSED_IMPORT: Rule = Rule::new("unused-import");

/// Interfaces that work on handles alone, and those that give such handles out: of no use to a method that reaches none
/// of these.
const HANDLES: [(&str, &[&str]); 4] = [
    ("wasi:filesystem/types", &["wasi:filesystem/preopens"]),
    ("wasi:sockets/tcp", &["wasi:sockets/tcp-create-socket"]),
    ("wasi:sockets/udp", &["wasi:sockets/udp-create-socket"]),
    (
        "wasi:sockets/instance-network",
        &[
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp-create-socket",
            "wasi:sockets/ip-name-lookup",
        ],
    ),
];

/// What a method is linked to and given, and what of it may be called.
#[derive(Clone, Copy)]
pub(crate) struct Linkage<'a> {
    code: Digest,
    imports: &'a [Import],
    reached: &'a Reached,
    plan: &'a Plan,
    /// Whether it has the terminal, once that is granted.
    is_command: bool,
}

/// An import of which a call may want a function that fails.
struct Want<'a> {
    import: &'a Import,
    /// Parts of it that a grant would serve, as messages name them: interfaces of a component as a whole, and functions
    /// of a core module one by one, since it is they that it imports.
    denied: Vec<String>,
    /// Functions of it that this host does not have.
    missing: Vec<String>,
}

impl<'a> Want<'a> {
    fn new(
        import: &'a Import,
        denied: impl Iterator<Item = &'a str>,
        missing: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let denied: Vec<_> = denied.map(|function| import.function(function)).collect();
        let denied = match import.core {
            None if !denied.is_empty() => vec![import.name.clone()],
            _ => denied,
        };
        let missing: Vec<_> = missing.map(|function| import.function(function)).collect();
        let is_any = !denied.is_empty() || !missing.is_empty();
        is_any.then_some(Self { import, denied, missing })
    }
}

impl<'a> Linkage<'a> {
    pub(crate) fn new(
        code: &Compiled,
        imports: &'a [Import],
        reached: &'a Reached,
        plan: &'a Plan,
    ) -> Self {
        Self { code: code.digest(), imports, reached, plan, is_command: false }
    }

    /// The same of a command.
    pub(crate) fn of_command(self) -> Self {
        Self { is_command: true, ..self }
    }

    /// Imports of which a call of the method may want a function that fails.
    fn wanting(self) -> impl Iterator<Item = Want<'a>> {
        self.imports.iter().filter(move |import| self.has_handles(import)).filter_map(
            move |import| {
                let is_known = import.interface.is_some();
                let denied = self.called(import, &import.denied);
                // Of an interface that this host does not have an entry can declare nothing: the call says so.
                Want::new(import, denied, self.called(import, &import.missing).filter(|_| is_known))
            },
        )
    }

    /// Those of an import's functions that a call may come to.
    fn called(self, import: &'a Import, all: &'a [String]) -> impl Iterator<Item = &'a str> {
        let of = if import.is_function() { "" } else { import.name.as_str() };
        all.iter().map(String::as_str).filter(move |name| self.reached.has(of, name))
    }

    /// Functions that a call may come to and that nothing provides for core modules, by the ways in which the module came to
    /// them.
    fn unknown(self) -> BTreeMap<UnknownFunction, Vec<String>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for import in self.imports {
            let Some(unknown) = import.core.as_ref().and_then(|core| core.unknown) else {
                continue;
            };
            let called = self.called(import, &import.missing).map(|name| import.function(name));
            let names: Vec<_> = called.collect();
            if !names.is_empty() {
                all.entry(unknown).or_default().extend(names);
            }
        }
        all
    }

    /// Whether the method may have what an interface works on. C libraries reach the functions of all kinds of files from
    /// each, by tables. Folders without the grant are none.
    fn has_handles(self, import: &Import) -> bool {
        let of = |(interface, _): &&(&str, _)| import.interface.as_deref() == Some(*interface);
        let Some((_, givers)) = HANDLES.iter().find(of) else { return true };
        let gives = |giver: &&str| {
            self.uses(|import| {
                import.interface.as_deref() == Some(*giver) && (import.granted || import.may_fail())
            })
            .0
        };
        givers.iter().any(gives)
    }

    /// Packages that would show the method what its entry gives it and does not grant.
    fn unseen(self, wasi: &Wasi) -> impl Iterator<Item = String> {
        let variables = !wasi.env.is_empty() || !wasi.args.is_empty();
        [("wasi:cli/environment", variables), ("wasi:filesystem/preopens", !wasi.mounts.is_empty())]
            .into_iter()
            .filter(|(_, is_given)| *is_given)
            .filter(move |(interface, _)| {
                let is = |import: &Import| {
                    !import.granted && import.interface.as_deref() == Some(*interface)
                };
                self.uses(is).0
            })
            .map(|(interface, _)| token(interface))
    }

    /// What the entry would have to declare for all that its method may call.
    pub(crate) fn undeclared(self) -> BTreeSet<String> {
        tokens(&self.wanting().collect::<Vec<_>>())
    }

    /// Whether the method may call one of some imports, and whether there are any.
    fn uses(self, is_one: impl Fn(&Import) -> bool) -> (bool, bool) {
        let mut ones = self.imports.iter().filter(|import| is_one(import)).peekable();
        let imported = ones.peek().is_some();
        (ones.any(|import| import.is_reached(self.reached)), imported)
    }

    /// The package by which the method may ask for the network.
    fn network(self) -> Option<Package> {
        let calls = |interface: &str| {
            self.uses(|import| import.granted && import.interface.as_deref() == Some(interface)).0
        };
        if ["wasi:http/outgoing-handler", "wasi:http/client"].into_iter().any(calls) {
            return Some(Package::WasiHttp);
        }
        let sockets = ["tcp-create-socket", "udp-create-socket", "ip-name-lookup"];
        let sockets = sockets.map(|name| format!("wasi:sockets/{name}"));
        sockets.iter().any(|name| calls(name)).then_some(Package::WasiSockets)
    }
}

/// Imports that methods may call and that fail, by the code and those imports: entries that have
/// both in common share one warning.
#[derive(Default)]
struct Failing(BTreeMap<([u8; 32], String), Wanting>);

struct Wanting {
    rule: Rule,
    help: String,
    entries: Vec<EntryId>,
}

impl Failing {
    /// Adds what an entry does not declare.
    fn add_undeclared(&mut self, id: &EntryId, linkage: Linkage<'_>) {
        let wanting: Vec<_> = linkage.wanting().collect();
        if wanting.is_empty() {
            return;
        }
        let message = format!("the method may call {}", unserved(&wanting));
        self.add((id, linkage), UNDECLARED_IMPORT, message, || declare(&wanting));
    }

    /// Adds what no entry could declare.
    fn add_unknown(&mut self, id: &EntryId, linkage: Linkage<'_>) {
        for (UnknownFunction { what, fix, .. }, names) in linkage.unknown() {
            let names = listed(names.iter().map(String::as_str));
            let message = format!("the method may call what nothing provides: {names}");
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
        let wanting = || Wanting { rule, help: help(), entries: Vec::new() };
        shared.or_insert_with(wanting).entries.push(id.clone());
    }

    /// Reports what was collected, at the first entry of each.
    fn report(self, registry: &Registry, problems: &mut Problems) {
        for ((_, message), Wanting { rule, help, entries }) in self.0 {
            let Some((first, others)) = entries.split_first() else { continue };
            let also = match others {
                [] => String::new(),
                _ => format!(", as may those of {}", listed(others.iter().map(EntryId::as_str))),
            };
            let report = Report::warning(rule, message + &also).help(help);
            problems.at(registry, first, "imports", report);
        }
    }
}

/// Reports what methods may call and their entries do not declare, and the other way round. What an entry imports
/// undeclared is an error where the third is true. Returns what would put each right.
pub(crate) fn compare<'a>(
    linked: impl Iterator<Item = (Guest<'a>, Linkage<'a>, bool)>,
    (registry, problems): (&Registry, &mut Problems),
) -> Vec<ImportsFix> {
    let mut fixes = Vec::new();
    let mut failing = Failing::default();
    for (guest, linkage, is_strict) in linked {
        if is_strict {
            refuse(&guest, linkage.imports, registry, problems);
        } else {
            failing.add_undeclared(guest.id, linkage);
            failing.add_unknown(guest.id, linkage);
        }
        let list = List {
            declared: guest.imports,
            wasi: guest.wasi,
            imports: linkage.imports,
            reached: linkage.reached,
            is_command: linkage.is_command,
            is_strict,
        };
        let (id, mut added) = (guest.id.clone(), linkage.undeclared());
        added.extend(linkage.unseen(guest.wasi));
        let removed = list.unused(&added).into_iter().map(|(token, _)| token);
        let removed: BTreeSet<_> = removed.collect();
        let repeated = guest.imports.repeated().map(str::to_owned);
        let repeated: BTreeSet<_> = repeated.filter(|token| !removed.contains(token)).collect();
        let is_right = added.is_empty() && removed.is_empty() && repeated.is_empty();
        if let (false, Some(place)) = (is_right, registry.origin(&id)) {
            fixes.push(ImportsFix { id, index: place.file.into(), added, removed, repeated });
        }
        let method = guest.method.as_str();
        let unused = list.unused(&BTreeSet::new()).into_iter().map(|(token, why)| match why {
            Unused::NotImported => {
                format!("`{token}` is declared, and the code does not import it")
            }
            Unused::NotReached => format!("`{token}` is declared, and `{method}` cannot reach it"),
            Unused::Covered => {
                format!("`{token}` is declared, and others grant all of it that `{method}` needs")
            }
        });
        let repeated = guest.imports.repeated();
        let repeated = repeated.map(|token| format!("`{token}` is declared more than once"));
        for message in unused.chain(repeated) {
            let report = Report::warning(UNUSED_IMPORT, message)
                .help("leave it out, as `crisol check --fix` does");
            problems.at(registry, guest.id, "imports", report);
        }
        if let Some(why) = linkage.plan.lost_cwd() {
            let (cwd, message) = (guest.wasi.cwd.as_str(), "relative paths do not begin in");
            let report = Report::warning(Rule::NO_EFFECT, format!("{message} `{cwd}`")).help(why);
            problems.at(registry, guest.id, "wasi.cwd", report);
        }
        if let (true, Some(package)) = (guest.wasi.network.is_empty(), linkage.network()) {
            let token = package.token();
            let message = format!("`{token}` is declared, and `wasi.network` lists no peer");
            let help = "add the peers to `wasi.network`, such as \"api.example.com:443\"";
            let report = Report::warning(Rule::NO_EFFECT, message).help(help);
            problems.at(registry, guest.id, "imports", report);
        }
    }
    failing.report(registry, problems);
    fixes
}

/// Refuses code that imports what its entry does not declare, whether or not it may be called.
pub(crate) fn refuse(
    guest: &Guest<'_>,
    imports: &[Import],
    registry: &Registry,
    problems: &mut Problems,
) {
    let wanting = imports.iter().filter_map(|import| {
        let [denied, missing] =
            [&import.denied, &import.missing].map(|all| all.iter().map(String::as_str));
        Want::new(import, denied, missing)
    });
    let wanting: Vec<_> = wanting.collect();
    if wanting.is_empty() {
        return;
    }
    let message = format!("the code imports {}", unserved(&wanting));
    let report = Report::error(UNDECLARED_IMPORT, message).help(declare(&wanting));
    problems.at(registry, guest.id, "imports", report);
}

/// What an entry declares for a host interface, its version left out: the package of one of the runtime's own,
/// the name itself of one of the embedding program's.
pub(crate) fn token(interface: &str) -> String {
    let own = || interface.split('@').next().unwrap_or(interface);
    Imports::token_for(interface).unwrap_or_else(own).to_owned()
}

/// Lists what a grant would serve, and what this host does not have.
fn unserved(wanting: &[Want<'_>]) -> String {
    let denied: BTreeSet<_> = wanting.iter().flat_map(|want| &want.denied).collect();
    let all =
        [("what is not declared", denied), ("what this host does not have", missing(wanting))];
    let some = all.into_iter().filter(|(_, names)| !names.is_empty());
    let parts = some
        .map(|(what, names)| format!("{what}: {}", listed(names.into_iter().map(String::as_str))));
    parts.collect::<Vec<_>>().join("; and ")
}

/// Functions that no host function serves.
fn missing<'a>(wanting: &'a [Want<'_>]) -> BTreeSet<&'a String> {
    wanting.iter().flat_map(|want| &want.missing).collect()
}

/// Tokens that would grant what is denied.
fn tokens(wanting: &[Want<'_>]) -> BTreeSet<String> {
    let denied = wanting.iter().filter(|want| !want.denied.is_empty());
    denied.filter_map(|want| want.import.interface.as_deref().map(token)).collect()
}

/// Advice about imports that fail.
fn declare(wanting: &[Want<'_>]) -> String {
    let (tokens, missing) = (tokens(wanting), missing(wanting));
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

/// Bytes of names that a message lists, and characters of each: code may import a million things by names of any length.
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
