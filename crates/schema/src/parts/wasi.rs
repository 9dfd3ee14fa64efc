//! WASI configuration of a guest: arguments, variables, folders, network peers.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use crisol_core::EntryId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::decode::{Decode, DecodeContext, Text, shape};
use crate::problems::Report;
use crate::reference::{Folder, Ref, Variable};
use crate::rule::Rule;
use crate::source::Span;
use crate::values::{EnvName, GuestPath, ImportToken, Imports, Network, NetworkRule, Package};
use crate::yaml::{Data, Node};

/// WASI configuration of a guest. The default grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Wasi {
    /// Command-line arguments, without the program's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Working directory.
    pub cwd: GuestPath,
    /// Environment variables, with unique names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvMapping>,
    /// Mounted folders, with unique guest paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Network peers that sockets and outgoing HTTP may reach.
    #[serde(skip_serializing_if = "Network::is_empty")]
    pub network: Network,
}

/// An environment variable of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvMapping {
    /// `env.variable` entry, read at call time.
    pub id: EntryId,
    /// Name of the variable in the guest.
    pub name: EnvName,
    /// True to fail the call if the variable has no value.
    pub required: bool,
}

/// A folder mounted into a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// `fs.directory` entry to mount.
    pub fs: EntryId,
    /// Path of the folder in the guest.
    pub guest: GuestPath,
    /// True to refuse creating, writing, renaming and removing.
    pub read_only: bool,
}

shape! {
    /// WASI configuration of a guest. The default grants nothing.
    pub(crate) struct WasiFields {
        /// Command-line arguments, without the program's name.
        args: Option<Vec<Text>>,
        /// Working directory in the guest, absolute. Default: `/`.
        cwd: Option<GuestPath>,
        /// Environment variables, read from the registry at call time.
        env: Option<Vec<EnvFields>>,
        /// Folders of the registry to mount into the guest.
        mounts: Option<Vec<MountFields>>,
        /// Network peers that sockets and outgoing HTTP may reach: `host:port`, `*.host:port`,
        /// `address/bits:*`. Default: none.
        network: Option<Vec<NetworkRule>>,
    }
}

shape! {
    /// An environment variable of a guest.
    pub(crate) struct EnvFields {
        /// `env.variable` entry with the value.
        id: Ref<Variable>,
        /// Name of the variable in the guest.
        name: EnvName,
        /// Fails the call if there is no value. Default: false.
        required: Option<bool>,
    }
}

shape! {
    /// A folder mounted into a guest.
    pub(crate) struct MountFields {
        /// `fs.directory` entry to mount.
        fs: Ref<Folder>,
        /// Path of the folder in the guest: absolute and unique.
        guest: GuestPath,
        /// Refuses every change to the folder. Default: false.
        read_only: Option<bool>,
    }
}

impl Decode for Wasi {
    const EXAMPLE: &'static str = "{args: [\"--verbose\"]}";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let fields = WasiFields::decode(node, cx);
        // All checks run, since an error in one item does not affect the others.
        let names_differ = unique::<EnvName>(node, "env", "name", cx);
        let guests_differ = unique::<GuestPath>(node, "mounts", "guest", cx);
        let plain = reject_nul(node, cx);
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

/// Reports each item of a list whose field, parsed as a `T`, equals that of an earlier item.
fn unique<T: FromStr + Eq + Hash + Display>(
    node: &Node,
    list: &str,
    field: &str,
    cx: &mut DecodeContext<'_>,
) -> bool {
    let mut seen: HashMap<T, Span> = HashMap::new();
    let mut all_differ = true;
    for (at, item) in node.items(list).iter().enumerate() {
        let value = item.get(field).and_then(|node| node.text()?.parse::<T>().ok());
        let (Some(value), span) = (value, item.span_of(field)) else { continue };
        let Some(&first) = seen.get(&value) else {
            seen.insert(value, span);
            continue;
        };
        all_differ = false;
        let message = format!("duplicate `{field}` `{value}` in `{list}`");
        let report = Report::error(Rule::DUPLICATE, message)
            .related(Some(first), "first here")
            .help(format!("give each item of `{list}` a unique `{field}`"));
        cx.within(&format!("{list}[{at}].{field}"), |cx| cx.report(span, report));
    }
    all_differ
}

/// Reports arguments with a NUL, which cannot be passed to a guest.
fn reject_nul(node: &Node, cx: &mut DecodeContext<'_>) -> bool {
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

/// Warns about WASI settings that have no effect because an import is missing.
pub(crate) fn warn_ungranted(
    fields: &Node,
    wasi: &Wasi,
    imports: &Imports,
    cx: &mut DecodeContext<'_>,
) {
    let Some(node) = fields.get("wasi") else { return };
    let reaches =
        |import: ImportToken| matches!(import.package(), Package::WasiSockets | Package::WasiHttp);
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
        cx.within(&format!("wasi.{field}"), |cx| cx.report(node.span_of(field), report));
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
