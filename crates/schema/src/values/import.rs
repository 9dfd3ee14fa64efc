//! Capabilities: which host interfaces a guest may use. Names only; linking them is the engine's.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::BadValue;
use crate::decode::{Cx, Decode, text};
use crate::problems::Rule;
use crate::suggest;
use crate::yaml::{Node, quote};

/// A group of host interfaces that `imports` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// `wasi:cli`: arguments, environment, exit, stdio, terminals.
    WasiCli,
    /// `wasi:io`: streams, errors and polling.
    WasiIo,
    /// `wasi:poll`: polling alone (`wasi:io/poll`).
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

/// Token, and the interfaces of it that may be named alone (WASI 0.2 and 0.3).
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

impl Package {
    /// The token that `imports` names it by.
    #[must_use]
    pub fn token(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> &'static (Self, &'static str, &'static [&'static str]) {
        PACKAGES.iter().find(|row| row.0 == self).unwrap_or(&PACKAGES[0])
    }

    /// Whether functions of preview 1 are made of functions of this package.
    fn serves_preview1(self) -> bool {
        use Package::{Wasi1, WasiCli, WasiClocks, WasiFilesystem, WasiIo, WasiPoll, WasiRandom};
        matches!(
            self,
            Wasi1 | WasiCli | WasiClocks | WasiFilesystem | WasiIo | WasiPoll | WasiRandom
        )
    }

    /// The package that an interface belongs to, with what is left of its name.
    fn of(interface: &str) -> Option<(Self, &str)> {
        match interface {
            "wasi_snapshot_preview1" | "wasi_unstable" => return Some((Self::Wasi1, "")),
            "wippy:runtime/funcs" | "crisol:runtime/funcs" => return Some((Self::Funcs, "")),
            _ => {}
        }
        let (package, name) = interface.split_once('/')?;
        let row = PACKAGES.iter().find(|row| row.1 == package && row.1.starts_with("wasi:"))?;
        Some((row.0, name))
    }
}

/// One token of `imports`: a whole package, or one interface of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Import {
    package: Package,
    interface: Option<&'static str>,
}

impl Import {
    /// A whole package.
    #[must_use]
    pub const fn package_of(package: Package) -> Self {
        Self { package, interface: None }
    }

    /// The package.
    #[must_use]
    pub const fn package(self) -> Package {
        self.package
    }

    /// The interface, when only one is meant: `monotonic-clock`.
    #[must_use]
    pub const fn interface(self) -> Option<&'static str> {
        self.interface
    }

    /// Whether it grants a host interface, named as guests import it: `wasi:clocks/wall-clock@0.2.3`,
    /// `wasi_snapshot_preview1`. Case and version are ignored.
    #[must_use]
    pub fn grants(self, interface: &str) -> bool {
        let bare = bare(interface);
        match Package::of(&bare) {
            Some((Package::WasiIo, "poll")) if self.package == Package::WasiPoll => true,
            Some((Package::WasiPoll, _)) if self.package == Package::WasiIo => true,
            // A preview 1 module is adapted: what it calls reaches the host as these.
            Some((package, _)) if self.package == Package::Wasi1 => package.serves_preview1(),
            Some((package, name)) => {
                package == self.package && self.interface.is_none_or(|own| own == name)
            }
            None => false,
        }
    }

    /// The token with a bare name.
    fn find(bare: &str) -> Option<Self> {
        for &(package, token, interfaces) in PACKAGES {
            let Some(rest) = bare.strip_prefix(token) else { continue };
            if rest.is_empty() {
                return Some(Self::package_of(package));
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

/// Lower case, without `@version`.
fn bare(name: &str) -> String {
    name.split('@').next().unwrap_or("").to_ascii_lowercase()
}

impl FromStr for Import {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bare = bare(text);
        Self::find(&bare).ok_or_else(|| unknown(text, unknown_help(&bare)))
    }
}

fn unknown(text: &str, help: String) -> BadValue {
    let message = format!("there is no host import {}", quote(text));
    BadValue::new(Rule::UNKNOWN_VALUE, message, help)
}

fn unknown_help(bare: &str) -> String {
    let tokens = Import::all_tokens();
    let packages: Vec<&str> = PACKAGES.iter().map(|row| row.1).collect();
    let list = suggest::list(&packages);
    match suggest::nearest(bare, tokens.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? the packages are {list}"),
        None => format!("use {list}, or one interface such as `wasi:clocks/wall-clock`"),
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interface {
            None => f.pad(self.package.token()),
            Some(interface) => f.pad(&format!("{}/{interface}", self.package.token())),
        }
    }
}

impl Serialize for Import {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The set of host interfaces that an entry declares. Absence is refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Imports(BTreeSet<Import>);

impl Imports {
    /// Whether nothing is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each token, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Import> {
        self.0.iter().copied()
    }

    /// Whether the whole package is declared.
    #[must_use]
    pub fn has(&self, package: Package) -> bool {
        self.0.contains(&Import::package_of(package))
    }

    /// Whether a host interface is granted, named as guests import it:
    /// `wasi:clocks/monotonic-clock@0.2.3`. Case and version are ignored.
    #[must_use]
    pub fn grants(&self, interface: &str) -> bool {
        self.0.iter().any(|import| import.grants(interface))
    }

    /// The token to declare so that an interface is granted: `wasi:clocks` for
    /// `wasi:clocks/wall-clock@0.2.3`. None for an interface that no host has.
    #[must_use]
    pub fn token_for(interface: &str) -> Option<&'static str> {
        Package::of(&bare(interface)).map(|(package, _)| package.token())
    }
}

impl FromIterator<Import> for Imports {
    fn from_iter<I: IntoIterator<Item = Import>>(imports: I) -> Self {
        Self(imports.into_iter().collect())
    }
}

impl Decode for Import {
    const EXAMPLE: &'static str = "wasi:io";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let written = text(node, "text", Self::EXAMPLE, cx)?;
        let found = Self::find(&bare(written));
        if found.is_none() {
            // Looking for what was meant costs more than reading: not for what is only counted.
            let bad = if cx.sink.is_full() { String::new() } else { unknown_help(&bare(written)) };
            cx.report(node.span, unknown(written, bad).report());
        }
        found
    }
}

impl Decode for Imports {
    const EXAMPLE: &'static str = "[wasi:io, wasi:clocks]";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        Vec::<Import>::decode(node, cx).map(Self::from_iter)
    }
}

impl JsonSchema for Imports {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Imports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Editors offer the tokens; the pattern lets through what case and `@version` add.
        let any =
            "^([Ww][Aa][Ss][Ii]:[A-Za-z0-9/-]+|[Ww][Aa][Ss][Ii]1|[Ff][Uu][Nn][Cc][Ss])(@.*)?$";
        json_schema!({
            "type": "array",
            "items": {"anyOf": [
                {"type": "string", "enum": Import::all_tokens()},
                {"type": "string", "pattern": any}
            ]}
        })
    }
}
