//! Capability names: host interfaces that a guest may use. The engine links them.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crisol_core::suggest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::form::InvalidValue;
use crate::decode::{Decode, DecodeContext, text};
use crate::rule::Rule;
use crate::yaml::{Node, quote};

/// A package of host interfaces that `imports` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// `wasi:cli`: arguments, environment, exit, stdio, terminals.
    WasiCli,
    /// `wasi:io`: streams, errors and polling.
    WasiIo,
    /// `wasi:poll`: only polling (`wasi:io/poll`).
    WasiPoll,
    /// `wasi:clocks`.
    WasiClocks,
    /// `wasi:filesystem`.
    WasiFilesystem,
    /// `wasi:random`.
    WasiRandom,
    /// `wasi:sockets`.
    WasiSockets,
    /// `wasi:http`.
    WasiHttp,
    /// `wasi1`: all of WASI preview 1.
    Wasi1,
    /// `funcs`: calls to other functions of the registry.
    Funcs,
}

/// Packages with their tokens and the interfaces that can be named alone (WASI 0.2 and 0.3).
const PACKAGES: &[(Package, &str, &[&str])] = &[
    (
        Package::WasiCli,
        "wasi:cli",
        &[
            "environment",
            "exit",
            "run",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
            "types",
        ],
    ),
    (Package::WasiIo, "wasi:io", &["error", "poll", "streams"]),
    (Package::WasiPoll, "wasi:poll", &[]),
    (
        Package::WasiClocks,
        "wasi:clocks",
        &["monotonic-clock", "system-clock", "timezone", "types", "wall-clock"],
    ),
    (Package::WasiFilesystem, "wasi:filesystem", &["preopens", "types"]),
    (Package::WasiRandom, "wasi:random", &["insecure", "insecure-seed", "random"]),
    (
        Package::WasiSockets,
        "wasi:sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "types",
            "udp",
            "udp-create-socket",
        ],
    ),
    (
        Package::WasiHttp,
        "wasi:http",
        &["client", "handler", "incoming-handler", "outgoing-handler", "types"],
    ),
    (Package::Wasi1, "wasi1", &[]),
    (Package::Funcs, "funcs", &[]),
];

/// Other names of packages, as guests and other hosts write them.
const ALIASES: [(&str, Package); 5] = [
    ("wasi_snapshot_preview1", Package::Wasi1),
    ("wasi_unstable", Package::Wasi1),
    ("preview1", Package::Wasi1),
    ("wippy:runtime/funcs", Package::Funcs),
    ("crisol:runtime/funcs", Package::Funcs),
];

impl Package {
    /// Returns the token of the package in `imports`.
    #[must_use]
    pub fn token(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> &'static (Self, &'static str, &'static [&'static str]) {
        PACKAGES.iter().find(|row| row.0 == self).unwrap_or(&PACKAGES[0])
    }

    /// Returns true if preview 1 has functions equivalent to this package, which grants them.
    fn serves_preview1(self) -> bool {
        use Package::{Wasi1, WasiCli, WasiClocks, WasiFilesystem, WasiIo, WasiPoll, WasiRandom};
        matches!(
            self,
            Wasi1 | WasiCli | WasiClocks | WasiFilesystem | WasiIo | WasiPoll | WasiRandom
        )
    }

    /// Splits the name of an interface into its package and the rest.
    fn of(interface: &str) -> Option<(Self, &str)> {
        if let Some((_, package)) = ALIASES.iter().find(|(alias, _)| *alias == interface) {
            return Some((*package, ""));
        }
        let (package, name) = interface.split_once('/')?;
        let row = PACKAGES.iter().find(|row| row.1 == package && row.1.starts_with("wasi:"))?;
        Some((row.0, name))
    }
}

/// One token of `imports`: a whole package, or one interface of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImportToken {
    package: Package,
    interface: Option<&'static str>,
}

impl ImportToken {
    /// Creates the import of a whole package.
    #[must_use]
    pub const fn of_package(package: Package) -> Self {
        Self { package, interface: None }
    }

    /// Returns the package.
    #[must_use]
    pub const fn package(self) -> Package {
        self.package
    }

    /// Returns the interface, if only one is imported: `monotonic-clock`.
    #[must_use]
    pub const fn interface(self) -> Option<&'static str> {
        self.interface
    }

    /// Returns true if the token grants a host interface. `interface` has the name that guests import:
    /// `wasi:clocks/wall-clock@0.2.3`, `wasi_snapshot_preview1`. Case and version are ignored.
    #[must_use]
    pub fn grants(self, interface: &str) -> bool {
        let bare = without_version(interface);
        match Package::of(&bare) {
            Some((Package::WasiIo, "poll")) if self.package == Package::WasiPoll => true,
            Some((Package::WasiPoll, _)) if self.package == Package::WasiIo => true,
            // `wasi1` grants the interfaces equivalent to preview 1.
            Some((package, _)) if self.package == Package::Wasi1 => package.serves_preview1(),
            Some((package, name)) => {
                package == self.package && self.interface.is_none_or(|own| own == name)
            }
            None => false,
        }
    }

    /// Returns the number of interfaces that the token grants.
    #[must_use]
    pub fn breadth(self) -> usize {
        let names = PACKAGES.iter().flat_map(|(_, token, interfaces)| {
            interfaces.iter().map(move |name| format!("{token}/{name}"))
        });
        names.filter(|name| self.grants(name)).count()
    }

    /// Looks up a token by its bare name.
    fn find(bare: &str) -> Option<Self> {
        if let Some((_, package)) = ALIASES.iter().find(|(alias, _)| *alias == bare) {
            return Some(Self::of_package(*package));
        }
        for &(package, token, interfaces) in PACKAGES {
            let Some(rest) = bare.strip_prefix(token) else { continue };
            if rest.is_empty() {
                return Some(Self::of_package(package));
            }
            let name = rest.strip_prefix('/');
            if let Some(interface) = interfaces.iter().find(|one| Some(**one) == name) {
                return Some(Self { package, interface: Some(interface) });
            }
        }
        None
    }

    fn all_tokens() -> Vec<String> {
        let one = |&(_, token, interfaces): &(Package, &str, &[&str])| {
            let single = interfaces.iter().map(|name| format!("{token}/{name}"));
            std::iter::once(token.to_owned()).chain(single).collect::<Vec<_>>()
        };
        PACKAGES.iter().flat_map(one).collect()
    }
}

/// Returns the name in lower case, without `@version`.
pub(crate) fn without_version(name: &str) -> String {
    name.split('@').next().unwrap_or("").to_ascii_lowercase()
}

/// Returns a token in the form that [`ImportToken`] prints, for any of its spellings. An interface of the
/// embedding program becomes lower case, without version.
pub(crate) fn canonical(written: &str) -> String {
    let bare = without_version(written);
    ImportToken::find(&bare).map_or(bare, |import| import.to_string())
}

impl FromStr for ImportToken {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bare = without_version(text);
        Self::find(&bare).ok_or_else(|| unknown(text, unknown_help(&bare, &BTreeSet::new())))
    }
}

fn unknown(text: &str, help: String) -> InvalidValue {
    let message = format!("unknown import {}", quote(text));
    InvalidValue::new(Rule::UNKNOWN_VALUE, message, help)
}

/// Returns the help for an unknown token. `own` has the interfaces of the embedding program.
fn unknown_help(bare: &str, own: &BTreeSet<String>) -> String {
    let tokens = ImportToken::all_tokens();
    let packages: Vec<&str> =
        PACKAGES.iter().map(|row| row.1).chain(own.iter().map(String::as_str)).collect();
    let list = suggest::list(&packages);
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    let all = tokens.iter().chain(own).map(String::as_str).chain(aliases);
    match suggest::nearest(bare, all) {
        Some(near) => format!("did you mean `{near}`? the packages are {list}"),
        None => format!("use {list}, or one interface such as `wasi:clocks/wall-clock`"),
    }
}

impl fmt::Display for ImportToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interface {
            None => f.pad(self.package.token()),
            Some(interface) => f.pad(&format!("{}/{interface}", self.package.token())),
        }
    }
}

impl Serialize for ImportToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Host interfaces that an entry declares. Interfaces that are not declared are refused.
#[derive(Debug, Clone, Default)]
pub struct Imports {
    known: BTreeSet<ImportToken>,
    /// Interfaces of the embedding program, in lower case without version.
    host_interfaces: BTreeSet<String>,
    /// Duplicate tokens, compared across spellings.
    duplicates: BTreeSet<String>,
}

impl Imports {
    /// Returns true if nothing is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.host_interfaces.is_empty()
    }

    /// Iterates over the built-in tokens, sorted.
    pub fn iter(&self) -> impl Iterator<Item = ImportToken> {
        self.known.iter().copied()
    }

    /// Iterates over the interfaces of the embedding program ([`Loader::host_interface`]), without version.
    ///
    /// [`Loader::host_interface`]: crate::Loader::host_interface
    pub fn host_interfaces(&self) -> impl Iterator<Item = &str> {
        self.host_interfaces.iter().map(String::as_str)
    }

    /// Iterates over the duplicate tokens, compared across spellings.
    pub fn duplicates(&self) -> impl Iterator<Item = &str> {
        self.duplicates.iter().map(String::as_str)
    }

    /// Returns true if the whole package is declared.
    #[must_use]
    pub fn has(&self, package: Package) -> bool {
        self.known.contains(&ImportToken::of_package(package))
    }

    /// Returns true if a host interface is granted. `interface` has the name that guests import:
    /// `wasi:clocks/monotonic-clock@0.2.3`. Case and version are ignored.
    #[must_use]
    pub fn grants(&self, interface: &str) -> bool {
        self.known.iter().any(|import| import.grants(interface))
            || (!self.host_interfaces.is_empty()
                && self.host_interfaces.contains(&without_version(interface)))
    }

    /// Returns the token that grants an interface: `wasi:clocks` for `wasi:clocks/wall-clock@0.2.3`. `None`
    /// for an interface outside of the built-in packages.
    #[must_use]
    pub fn token_for(interface: &str) -> Option<&'static str> {
        Package::of(&without_version(interface)).map(|(package, _)| package.token())
    }
}

/// Compares the granted interfaces; duplicates do not matter.
impl PartialEq for Imports {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known && self.host_interfaces == other.host_interfaces
    }
}

impl Eq for Imports {}

impl Hash for Imports {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.known.hash(state);
        self.host_interfaces.hash(state);
    }
}

impl FromIterator<ImportToken> for Imports {
    fn from_iter<I: IntoIterator<Item = ImportToken>>(imports: I) -> Self {
        Self { known: imports.into_iter().collect(), ..Self::default() }
    }
}

impl Serialize for Imports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.known.iter().map(ImportToken::to_string);
        serializer.collect_seq(known.chain(self.host_interfaces.iter().cloned()))
    }
}

/// One item of the list.
enum ImportItem {
    Known(ImportToken),
    Host(String),
}

impl Decode for ImportItem {
    const EXAMPLE: &'static str = "wasi:io";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let written = text(node, "text", Self::EXAMPLE, cx)?;
        let bare = without_version(written);
        if let Some(import) = ImportToken::find(&bare) {
            return Some(Self::Known(import));
        }
        if cx.host_interfaces.contains(&bare) {
            return Some(Self::Host(bare));
        }
        // The search for a similar token is expensive, so it is skipped for problems that are only counted.
        let full = cx.diagnostics.is_full();
        let help = if full { String::new() } else { unknown_help(&bare, cx.host_interfaces) };
        cx.report(node.span, unknown(written, help).report());
        None
    }
}

impl Decode for Imports {
    const EXAMPLE: &'static str = "[wasi:io, wasi:clocks]";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let mut imports = Self::default();
        for token in Vec::<ImportItem>::decode(node, cx)? {
            let (is_new, name) = match token {
                ImportItem::Known(import) => (imports.known.insert(import), import.to_string()),
                ImportItem::Host(interface) => {
                    (imports.host_interfaces.insert(interface.clone()), interface)
                }
            };
            if !is_new {
                imports.duplicates.insert(name);
            }
        }
        Some(imports)
    }
}

impl JsonSchema for Imports {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Imports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Editors offer the tokens. The pattern also allows other cases, `@version`, and interfaces of
        // embedding programs, which editors cannot know.
        let any = "^([A-Za-z0-9-]+:[A-Za-z0-9/-]+|[Ww][Aa][Ss][Ii]1|[Ff][Uu][Nn][Cc][Ss]|preview1|wasi_snapshot_preview1|wasi_unstable)(@.*)?$";
        json_schema!({
            "type": "array",
            "items": {"anyOf": [
                {"type": "string", "enum": ImportToken::all_tokens()},
                {"type": "string", "pattern": any}
            ]}
        })
    }
}
