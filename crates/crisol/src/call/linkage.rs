//! Comparison of a guest's imports with its entry's grants: calls that may fail, and the tokens that would grant them.

use std::collections::{BTreeMap, BTreeSet};

use crisol_engine::{Compiled, Digest, Import, ReachableImports};
use crisol_schema::{Imports, Package, Wasi};
use crisol_wasi::Plan;
use crisol_wit::UnknownFunction;

/// Interfaces that only use handles, each with the interfaces that create such handles. A method that reaches none of
/// the latter cannot use the former.
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

/// Imports of a method's guest, which of them the method may call, and its WASI plan.
#[derive(Clone, Copy)]
pub(crate) struct Linkage<'a> {
    pub(crate) code: Digest,
    pub(crate) imports: &'a [Import],
    pub(crate) reachable: &'a ReachableImports,
    pub(crate) plan: &'a Plan,
    /// True for a command, which gets the terminal if granted.
    pub(crate) is_command: bool,
}

/// Import with functions that a call may use and that would fail.
pub(crate) struct UnmetImport<'a> {
    pub(crate) import: &'a Import,
    /// Parts that a grant would serve, as messages name them: the whole interface for a component, single functions for
    /// a core module, which imports functions.
    pub(crate) denied: Vec<String>,
    /// Functions that this host does not have.
    pub(crate) missing: Vec<String>,
}

impl<'a> UnmetImport<'a> {
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
        reachable: &'a ReachableImports,
        plan: &'a Plan,
    ) -> Self {
        Self { code: code.digest(), imports, reachable, plan, is_command: false }
    }

    /// Marks the guest as a command.
    pub(crate) fn of_command(self) -> Self {
        Self { is_command: true, ..self }
    }

    /// Returns the imports with functions that the method may call and that fail.
    pub(crate) fn unmet(self) -> impl Iterator<Item = UnmetImport<'a>> {
        self.imports.iter().filter(move |import| self.has_handles(import)).filter_map(
            move |import| {
                let is_known = import.interface.is_some();
                let denied = self.called(import, &import.denied);
                // An entry cannot declare an interface that this host does not have; the call's error reports that.
                UnmetImport::new(
                    import,
                    denied,
                    self.called(import, &import.missing).filter(|_| is_known),
                )
            },
        )
    }

    /// Filters an import's functions: keeps those that the method may call.
    fn called(self, import: &'a Import, all: &'a [String]) -> impl Iterator<Item = &'a str> {
        let of = if import.is_function() { "" } else { import.name.as_str() };
        all.iter().map(String::as_str).filter(move |name| self.reachable.has(of, name))
    }

    /// Returns functions that a core module's method may call and that nothing provides, grouped by origin.
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

    /// Tells whether the method can obtain the handles that an interface works on. Reachability alone is not enough:
    /// through tables, C libraries reach the functions of all kinds of files from each other.
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

    /// Returns tokens of imports that would let the method see variables, arguments or mounts that its entry sets but
    /// does not grant.
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

    /// Returns the tokens that the entry would have to add for all that its method may call.
    pub(crate) fn undeclared(self) -> BTreeSet<String> {
        tokens(&self.unmet().collect::<Vec<_>>())
    }

    /// Tells whether the method may call one of the selected imports, and whether the code has any of them.
    fn uses(self, is_one: impl Fn(&Import) -> bool) -> (bool, bool) {
        let mut ones = self.imports.iter().filter(|import| is_one(import)).peekable();
        let imported = ones.peek().is_some();
        (ones.any(|import| import.is_reachable(self.reachable)), imported)
    }

    /// Returns the package through which the method may use the network.
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

/// Returns the tokens that would grant the denied imports.
pub(crate) fn tokens(unmet: &[UnmetImport<'_>]) -> BTreeSet<String> {
    let denied = unmet.iter().filter(|import| !import.denied.is_empty());
    denied.filter_map(|import| import.import.interface.as_deref().map(token)).collect()
}

/// Returns the token by which an entry declares an interface, without version: the package for a built-in interface,
/// the interface's name for one of the embedding program.
pub(crate) fn token(interface: &str) -> String {
    let own = || interface.split('@').next().unwrap_or(interface);
    Imports::token_for(interface).unwrap_or_else(own).to_owned()
}
