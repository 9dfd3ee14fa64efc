//! Imports of a guest held against what its entry grants: calls that may fail, and the tokens that would grant them.

use std::collections::{BTreeMap, BTreeSet};

use crisol_engine::{Compiled, Digest, Import, Reached};
use crisol_schema::{Imports, Package, Wasi};
use crisol_wasi::Plan;
use crisol_wit::UnknownFunction;

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
    pub(crate) code: Digest,
    pub(crate) imports: &'a [Import],
    pub(crate) reached: &'a Reached,
    pub(crate) plan: &'a Plan,
    /// Whether it has the terminal, once that is granted.
    pub(crate) is_command: bool,
}

/// An import of which a call may want a function that fails.
pub(crate) struct Want<'a> {
    pub(crate) import: &'a Import,
    /// Parts of it that a grant would serve, as messages name them: interfaces of a component as a whole, and functions
    /// of a core module one by one, since it is they that it imports.
    pub(crate) denied: Vec<String>,
    /// Functions of it that this host does not have.
    pub(crate) missing: Vec<String>,
}

impl<'a> Want<'a> {
    pub(crate) fn new(
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
    pub(crate) fn wanting(self) -> impl Iterator<Item = Want<'a>> {
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

    /// Functions that a call may reach and that nothing provides for core modules, by the ways in which the module came
    /// to them.
    pub(crate) fn unknown(self) -> BTreeMap<UnknownFunction, Vec<String>> {
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
    pub(crate) fn unseen(self, wasi: &Wasi) -> impl Iterator<Item = String> {
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
    pub(crate) fn network(self) -> Option<Package> {
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

/// Tokens that would grant what is denied.
pub(crate) fn tokens(wanting: &[Want<'_>]) -> BTreeSet<String> {
    let denied = wanting.iter().filter(|want| !want.denied.is_empty());
    denied.filter_map(|want| want.import.interface.as_deref().map(token)).collect()
}

/// What an entry declares for a host interface, its version left out: the package of one of the runtime's own,
/// the name itself of one of the embedding program's.
pub(crate) fn token(interface: &str) -> String {
    let own = || interface.split('@').next().unwrap_or(interface);
    Imports::token_for(interface).unwrap_or_else(own).to_owned()
}
