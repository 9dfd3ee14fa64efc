//! What a guest gets of the outside: arguments, variables, folders, peers.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use crisol_core::EntryId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::decode::{Cx, Decode, Text, shape};
use crate::problems::Report;
use crate::reference::{Folder, Ref, Variable};
use crate::rule::Rule;
use crate::source::Span;
use crate::values::{EnvName, GuestPath, Import, Imports, Network, NetworkRule, Package};
use crate::yaml::{Data, Node};

/// The WASI configuration of a guest; by default it gets nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Wasi {
    /// Command-line arguments, the program's name not among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The working directory.
    pub cwd: GuestPath,
    /// Environment variables, names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvMapping>,
    /// Folders, guest paths unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Peers that sockets and outgoing HTTP may reach.
    #[serde(skip_serializing_if = "Network::is_empty")]
    pub network: Network,
}

/// One variable of a guest's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvMapping {
    /// The `env.variable` entry, asked at call time.
    pub id: EntryId,
    /// The name that the guest sees.
    pub name: EnvName,
    /// Whether a call fails when the variable has no value.
    pub required: bool,
}

/// One folder that a guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// The `fs.directory` entry.
    pub fs: EntryId,
    /// Where the guest sees it.
    pub guest: GuestPath,
    /// Whether creating, writing, renaming and removing are refused.
    pub read_only: bool,
}

shape! {
    /// What a guest gets of the outside.
    pub(crate) struct WasiFields {
        /// Command-line arguments.
        args: Option<Vec<Text>>,
        /// Working directory in the guest, absolute. Default: `/`.
        cwd: Option<GuestPath>,
        /// Environment variables, taken from the registry at call time.
        env: Option<Vec<EnvFields>>,
        /// Folders of the registry that the guest sees.
        mounts: Option<Vec<MountFields>>,
        /// Peers that sockets and outgoing HTTP may reach: `host:port`, `*.host:port`,
        /// `address/bits:*`. Nothing when left out.
        network: Option<Vec<NetworkRule>>,
    }
}

shape! {
    /// One variable of a guest's environment.
    pub(crate) struct EnvFields {
        /// The `env.variable` entry that has the value.
        id: Ref<Variable>,
        /// The name that the guest sees.
        name: EnvName,
        /// Fail the call when there is no value. Default: false.
        required: Option<bool>,
    }
}

shape! {
    /// One folder that a guest sees.
    pub(crate) struct MountFields {
        /// The `fs.directory` entry.
        fs: Ref<Folder>,
        /// Where the guest sees it: absolute, and of no other mount.
        guest: GuestPath,
        /// Refuse everything that changes the folder. Default: false.
        read_only: Option<bool>,
    }
}

impl Decode for Wasi {
    const EXAMPLE: &'static str = "{args: [\"--verbose\"]}";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let fields = WasiFields::decode(node, cx);
        // What is wrong with one item says nothing of the others.
        let names_differ = unique::<EnvName>(node, "env", "name", cx);
        let guests_differ = unique::<GuestPath>(node, "mounts", "guest", cx);
        let plain = no_nul(node, cx);
        let fields = fields.filter(|_| names_differ && guests_differ && plain)?;
        Some(Self {
            args: fields.args.unwrap_or_default().into_iter().map(|arg| arg.0).collect(),
            cwd: fields.cwd.unwrap_or_default(),
            env: fields.env.unwrap_or_default().into_iter().map(EnvMapping::from).collect(),
            mounts: fields.mounts.unwrap_or_default().into_iter().map(Mount::from).collect(),
            network: fields.network.unwrap_or_default().into_iter().collect(),
        })
    }
}

impl From<EnvFields> for EnvMapping {
    fn from(fields: EnvFields) -> Self {
        let required = fields.required.unwrap_or(false);
        Self { id: fields.id.id, name: fields.name, required }
    }
}

impl From<MountFields> for Mount {
    fn from(fields: MountFields) -> Self {
        let read_only = fields.read_only.unwrap_or(false);
        Self { fs: fields.fs.id, guest: fields.guest, read_only }
    }
}

/// Reports each item of a list whose field, as a `T`, has the value of an earlier one's.
fn unique<T: FromStr + Eq + Hash + Display>(
    node: &Node,
    list: &str,
    field: &str,
    cx: &mut Cx<'_>,
) -> bool {
    let mut seen: HashMap<T, Span> = HashMap::new();
    let mut all_differ = true;
    for (at, item) in node.items(list).iter().enumerate() {
        let value = item.get(field).and_then(|node| node.text()?.parse::<T>().ok());
        let (Some(value), span) = (value, item.place_of(field)) else { continue };
        let Some(&first) = seen.get(&value) else {
            seen.insert(value, span);
            continue;
        };
        all_differ = false;
        let message = format!("`{value}` is in `{list}` twice");
        let report = Report::error(Rule::DUPLICATE, message)
            .also(Some(first), "first here")
            .help(format!("give each item of `{list}` a `{field}` of its own"));
        cx.within(&format!("{list}[{at}].{field}"), |cx| cx.report(span, report));
    }
    all_differ
}

/// An argument with a NUL cannot be handed to a guest.
fn no_nul(node: &Node, cx: &mut Cx<'_>) -> bool {
    let mut plain = true;
    for (at, item) in node.items("args").iter().enumerate() {
        if matches!(&item.data, Data::Scalar(scalar) if scalar.text.contains('\0')) {
            plain = false;
            let report = Report::error(Rule::BAD_FORM, "an argument has a NUL character")
                .help("remove the `\\0`");
            cx.within(&format!("args[{at}]"), |cx| cx.report(item.span, report));
        }
    }
    plain
}

/// Warns of what a guest is given and does not see for want of an import.
pub(crate) fn warn_ungranted(fields: &Node, wasi: &Wasi, imports: &Imports, cx: &mut Cx<'_>) {
    let Some(node) = fields.get("wasi") else { return };
    let reaches =
        |import: Import| matches!(import.package(), Package::WasiSockets | Package::WasiHttp);
    let network = imports.iter().any(reaches);
    let cli = imports.grants("wasi:cli/environment");
    let files = imports.grants("wasi:filesystem/preopens");
    for (field, is_given, is_granted, tokens) in [
        ("args", !wasi.args.is_empty(), cli, "`wasi:cli`"),
        ("env", !wasi.env.is_empty(), cli, "`wasi:cli`"),
        ("mounts", !wasi.mounts.is_empty(), files, "`wasi:filesystem`"),
        ("network", !wasi.network.is_empty(), network, "`wasi:sockets` or `wasi:http`"),
    ] {
        if !is_given || is_granted {
            continue;
        }
        let message = format!("`wasi.{field}` has no effect without an import");
        let report = Report::warning(Rule::NO_EFFECT, message)
            .help(format!("add {tokens} to `imports`, or remove it"));
        cx.within(&format!("wasi.{field}"), |cx| cx.report(node.place_of(field), report));
    }
}

impl JsonSchema for Wasi {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wasi".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WasiFields::json_schema(generator)
    }
}
