//! Kind `process.wasm`: a WebAssembly command.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::definition::{EntryBody, KindContent, KindDefinition, Placeholder};
use crate::decode::{Decode, DecodeContext, Fields};
use crate::field::EntryField;
use crate::parts::{Code, Limits, SourceText, Transport, Wasi, guest_shape, warn_ungranted};
use crate::problems::Report;
use crate::reference::{Folder, Ref};
use crate::rule::Rule;
use crate::values::{CommandName, FsPath, Imports, Method, Sha256Hash};
use crate::yaml::{Data, Node};

/// A WebAssembly command: `process.wasm`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Process {
    /// Code of the module or component.
    #[serde(flatten)]
    pub code: Code,
    /// Export to call.
    pub method: Method,
    /// Signature of a core module, as WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<SourceText>,
    /// Mapping between a call's input and output and the export's arguments and results.
    pub transport: Transport,
    /// Host interfaces granted to the guest.
    #[serde(skip_serializing_if = "Imports::is_empty")]
    pub imports: Imports,
    /// True to reject undeclared imports at load.
    pub strict_imports: bool,
    /// WASI configuration of the guest.
    pub wasi: Wasi,
    /// Resource limits of a run.
    pub limits: Limits,
    /// Name for `crisol run`, from `meta.command.name`.
    #[serde(skip)]
    pub command: Option<CommandName>,
}

/// `process.wasm`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = Process;
    type Fields = ProcessWasmFields;

    const PLACEHOLDERS: &'static [Placeholder] = &[Placeholder::Method, Placeholder::Hash];

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<Process> {
        let command = command(body.meta, cx);
        let no_pool = refuse_pool(body.fields, cx);
        let fields = ProcessWasmFields::decode(no_pool.as_ref().unwrap_or(body.fields), cx);
        let (fields, command) = (fields?, command?);
        let (wasi, imports) = (fields.wasi.unwrap_or_default(), fields.imports.unwrap_or_default());
        warn_ungranted(body.fields, &wasi, &imports, cx);
        no_pool.is_none().then_some(Process {
            code: Code::Wasm { fs: fields.fs.id, path: fields.path, hash: fields.hash },
            method: fields.method,
            wit: fields.wit.map(SourceText::from),
            transport: fields.transport.unwrap_or_default(),
            imports,
            strict_imports: fields.strict_imports.unwrap_or(false),
            wasi,
            limits: fields.limits.unwrap_or_default(),
            command,
        })
    }

    fn meta_schema() -> Json {
        json!({"properties": {"command": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {
                "description": "Name of the command for `crisol run NAME`.",
                "type": "string"
            }}
        }}})
    }
}

impl KindContent for Process {
    fn source_file(&self, field: &EntryField) -> Option<&Path> {
        self.wit.as_ref()?.file().filter(|_| *field == EntryField::Wit)
    }

    fn code(&self) -> Option<&Code> {
        Some(&self.code)
    }

    fn command(&self) -> Option<&CommandName> {
        self.command.as_ref()
    }
}

guest_shape! {
    /// A compiled WebAssembly file that runs as a command: `crisol run NAME`, with the name in
    /// `meta.command.name`.
    struct ProcessWasmFields {
        /// `fs.directory` entry with the file.
        fs: Ref<Folder>,
        /// Path of the file in that folder.
        path: FsPath,
        /// SHA-256 of the file: `sha256:` and 64 hexadecimal digits. `crisol pin` writes it.
        hash: Sha256Hash,
    }
}

/// Reports `pool`, which functions have and commands do not, with a better message than for an unknown field.
/// Returns the fields without it, or `None` if it is absent.
fn refuse_pool(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Node> {
    let pair = node.pair("pool")?;
    let message = "`process.wasm` has no `pool`: it runs once for each command";
    let report = Report::error(Rule::UNKNOWN_FIELD, message)
        .help("remove `pool`, or make the entry a `function.wasm`");
    cx.within("pool", |cx| cx.report(pair.key_span, report));
    let others = node.pairs().iter().filter(|pair| &*pair.key != "pool").cloned().collect();
    Some(Node::new(node.span, Data::Map(others)))
}

/// Reads `meta.command.name`; the rest of `meta` is free-form.
fn command(meta: Option<&Node>, cx: &mut DecodeContext<'_>) -> Option<Option<CommandName>> {
    let Some(command) = meta.and_then(|meta| meta.get("command")) else { return Some(None) };
    cx.within("meta.command", |cx| {
        let known: Vec<&str> = command.pairs().iter().map(|pair| &*pair.key).collect();
        let known = if known.is_empty() { vec!["name"] } else { known };
        Fields::open(command, &known, cx)?.take("name", cx)
    })
    .map(Some)
}
