//! Unused tokens of an entry's `imports`.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use crisol_engine::{Import, ReachableImports};
use crisol_schema::{Imports, Wasi};

/// A token of an entry's `imports`.
enum Token<'a> {
    Known(crisol_schema::ImportToken),
    /// An interface of the embedding program.
    Own(&'a str),
}

impl<'a> Token<'a> {
    fn of(text: &'a str) -> Self {
        text.parse().map_or(Self::Own(text), Self::Known)
    }

    fn all(declared: &'a Imports) -> impl Iterator<Item = Self> {
        declared.iter().map(Self::Known).chain(declared.host_interfaces().map(Self::Own))
    }

    fn grants(&self, import: &Import) -> bool {
        match self {
            Self::Known(token) => token.grants(import.granted_as()),
            Self::Own(own) => import.interface.as_deref() == Some(own),
        }
    }

    /// Returns the number of interfaces that it grants.
    fn breadth(&self) -> usize {
        match self {
            Self::Known(token) => token.breadth(),
            Self::Own(_) => 1,
        }
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(token) => token.fmt(f),
            Self::Own(own) => f.write_str(own),
        }
    }
}

/// Reason for which a token is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unused {
    /// The code imports nothing that it grants.
    NotImported,
    /// The code imports something that it grants, and the method cannot reach it.
    NotReached,
    /// Other tokens grant the same.
    Covered,
}

/// An entry's `imports`, with the imports that its method may call.
#[derive(Clone, Copy)]
pub(crate) struct List<'a> {
    pub(crate) declared: &'a Imports,
    /// The entry's `wasi` field: variables, arguments, mounts.
    pub(crate) wasi: &'a Wasi,
    /// All imports of the code.
    pub(crate) imports: &'a [Import],
    /// Imports that the method may call.
    pub(crate) reachable: &'a ReachableImports,
    /// True for a command, which gets the terminal if granted.
    pub(crate) is_command: bool,
    /// True if the entry must declare all imports of its code, reached or not.
    pub(crate) is_strict: bool,
}

impl List<'_> {
    /// Returns the tokens that are unused once `added` are declared too, each with the reason.
    pub(crate) fn unused(self, added: &BTreeSet<String>) -> Vec<(String, Unused)> {
        let is_used = |import: &&Import| self.is_strict || import.is_reachable(self.reachable);
        let (mut unused, mut kept) = (Vec::new(), Vec::new());
        for token in Token::all(self.declared) {
            let of = || self.imports.iter().filter(|import| token.grants(import));
            if of().any(|import| is_used(&import)) {
                kept.push(token);
            } else {
                let why = of().next().map_or(Unused::NotImported, |_| Unused::NotReached);
                unused.push((token.to_string(), why));
            }
        }
        // Remove the widest tokens first, so that the rest grants as little as possible.
        kept.sort_by_key(|token| Reverse(token.breadth()));
        let mut next = 0;
        while let Some(token) = kept.get(next) {
            let others = kept.iter().enumerate().filter(|(at, _)| *at != next);
            let others: Vec<_> = others.map(|(_, other)| other).collect();
            let is_shared = |import: &Import| {
                others.iter().any(|other| other.grants(import))
                    || added.iter().any(|other| Token::of(other).grants(import))
            };
            let of = || self.imports.iter().filter(|import| token.grants(import)).filter(is_used);
            let is_covered = of().all(|import| is_shared(import) || self.is_free(import));
            if is_covered && of().any(is_shared) {
                unused.push((kept.remove(next).to_string(), Unused::Covered));
            } else {
                next += 1;
            }
        }
        unused
    }

    /// Tells whether an import behaves the same with and without its grant, since the entry gives it nothing to expose.
    fn is_free(self, import: &Import) -> bool {
        let Some(interface) = import.interface.as_deref().filter(|_| !self.is_strict) else {
            return false;
        };
        let Wasi { env, args, cwd, mounts, .. } = self.wasi;
        match interface {
            "wasi:cli/exit" => true,
            "wasi:cli/environment" => {
                env.is_empty() && args.is_empty() && *cwd == Wasi::default().cwd
            }
            "wasi:filesystem/preopens" | "wasi:filesystem/types" => mounts.is_empty(),
            _ if ["wasi:io/", "wasi:random/"].iter().any(|of| interface.starts_with(of)) => true,
            // Output of a function goes to the log in any case.
            _ => !self.is_command && interface.starts_with("wasi:cli/"),
        }
    }
}
