//! Functions and processes of WebAssembly.

use std::sync::Arc;

use crisol_core::EntryId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Body, Limits, Pool, Retry, SourceText, Wasi};
use crate::decode::{Cx, Decode, Fields, Source, one_of, shape};
use crate::problems::Report;
use crate::reference::{Folder, Ref};
use crate::rule::Rule;
use crate::values::{CommandName, FsPath, Imports, Method, Sha256Hash};
use crate::yaml::{Data, Node};

/// A function of WebAssembly: `function.wat` or `function.wasm`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    /// What is compiled.
    #[serde(flatten)]
    pub code: Code,
    /// The export that is called.
    pub method: Method,
    /// The signature of a core module, as WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<SourceText>,
    /// How many calls run at once.
    pub pool: Pool,
    /// How a call's input and output become arguments and results.
    pub transport: Transport,
    /// Host interfaces that the guest may use.
    #[serde(skip_serializing_if = "Imports::is_empty")]
    pub imports: Imports,
    /// Whether an import that is not declared is refused at load.
    pub strict_imports: bool,
    /// What the guest gets of the outside.
    pub wasi: Wasi,
    /// What a call may use up.
    pub limits: Limits,
    /// How calls that failed are made again, from `meta.options.retry`.
    #[serde(skip)]
    pub retry: Option<Retry>,
}

/// A command of WebAssembly: `process.wasm`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Process {
    /// What is compiled.
    #[serde(flatten)]
    pub code: Code,
    /// The export that is called.
    pub method: Method,
    /// The signature of a core module, as WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<SourceText>,
    /// How a call's input and output become arguments and results.
    pub transport: Transport,
    /// Host interfaces that the guest may use.
    #[serde(skip_serializing_if = "Imports::is_empty")]
    pub imports: Imports,
    /// Whether an import that is not declared is refused at load.
    pub strict_imports: bool,
    /// What the guest gets of the outside.
    pub wasi: Wasi,
    /// What a run may use up.
    pub limits: Limits,
    /// The name for `crisol run`, from `meta.command.name`.
    #[serde(skip)]
    pub command: Option<CommandName>,
}

/// Where the module comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Code {
    /// WebAssembly text: a core module or a component.
    Wat {
        /// The text.
        source: SourceText,
    },
    /// A binary in a folder of the registry.
    Wasm {
        /// The `fs.directory` entry.
        fs: EntryId,
        /// The file in it.
        path: FsPath,
        /// The hash of the file's bytes.
        hash: Sha256Hash,
    },
}

/// How a call's input and output become arguments and results.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// The call's values are the arguments, in order.
    #[default]
    Payload,
    /// The function answers an HTTP request.
    WasiHttp,
    /// One of the program that loads the app, by the name that [`crate::Loader::transport`] was given.
    #[serde(untagged)]
    #[schemars(skip)]
    Custom(Arc<str>),
}

impl Decode for Transport {
    const EXAMPLE: &'static str = "payload";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let own = cx.transports.iter().map(|name| (&**name, Self::Custom(Arc::clone(name))));
        let words = [("payload", Self::Payload), ("wasi-http", Self::WasiHttp)];
        let words: Vec<_> = words.into_iter().chain(own).collect();
        one_of(node, &words, Rule::UNKNOWN_VALUE, cx)
    }
}

/// The fields that every guest has, after its own.
macro_rules! guest_shape {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        shape! {
            $(#[$meta])*
            pub(crate) struct $name {
                $($own)*
                /// The export to call: its name, or `interface#func`. The interface may be given
                /// without package and version; `add_two` and `addTwo` find `add-two`.
                method: Method,
                /// The signature of a core module as WIT, in place or as `file://path`. Components bring
                /// their own; without it a core module's numbers are taken as they are.
                wit: Option<Source>,
                /// How a call's input and output become arguments and results. Default: `payload`.
                transport: Option<Transport>,
                /// Host interfaces that the guest may use: packages such as `wasi:clocks`, single
                /// interfaces of them, or interfaces of the program that loads the app. One that the guest imports and that is not here fails when it is
                /// called. Output, exits, random numbers and `wasi:io` need none.
                imports: Option<Imports>,
                /// Refuse the entry at load when the guest imports what `imports` does not list.
                /// Default: false.
                strict_imports: Option<bool>,
                /// What the guest gets of the outside: arguments, variables, folders, peers.
                wasi: Option<Wasi>,
                /// What a call may use up.
                limits: Option<Limits>,
            }
        }
    };
}

guest_shape! {
    /// A function written in the WebAssembly text format.
    struct FunctionWatFields {
        /// The WebAssembly text, a core module or a component, in place or as `file://path`.
        source: Source,
        /// How many calls run at once, and what is kept ready for them.
        pool: Option<Pool>,
    }
}

guest_shape! {
    /// A function in a compiled WebAssembly file.
    struct FunctionWasmFields {
        /// The `fs.directory` entry with the file.
        fs: Ref<Folder>,
        /// The file in it.
        path: FsPath,
        /// The SHA-256 of the file: `sha256:` and 64 hexadecimal digits. `crisol pin` writes it.
        hash: Sha256Hash,
        /// How many calls run at once, and what is kept ready for them.
        pool: Option<Pool>,
    }
}

guest_shape! {
    /// A compiled WebAssembly file that runs as a command: `crisol run NAME`, where the name is
    /// `meta.command.name`.
    struct ProcessWasmFields {
        /// The `fs.directory` entry with the file.
        fs: Ref<Folder>,
        /// The file in it.
        path: FsPath,
        /// The SHA-256 of the file: `sha256:` and 64 hexadecimal digits. `crisol pin` writes it.
        hash: Sha256Hash,
    }
}

macro_rules! into_function {
    ($fields:ident, $code:expr, $retry:expr) => {
        Function {
            code: $code,
            method: $fields.method,
            wit: $fields.wit.map(SourceText::from),
            pool: $fields.pool.unwrap_or_default(),
            transport: $fields.transport.unwrap_or_default(),
            imports: $fields.imports.unwrap_or_default(),
            strict_imports: $fields.strict_imports.unwrap_or(false),
            wasi: $fields.wasi.unwrap_or_default(),
            limits: $fields.limits.unwrap_or_default(),
            retry: $retry,
        }
    };
}

impl FunctionWatFields {
    pub(crate) fn into_function(self, retry: Option<Retry>) -> Function {
        into_function!(self, Code::Wat { source: self.source.into() }, retry)
    }
}

impl FunctionWasmFields {
    pub(crate) fn into_function(self, retry: Option<Retry>) -> Function {
        let code = Code::Wasm { fs: self.fs.id, path: self.path, hash: self.hash };
        into_function!(self, code, retry)
    }
}

pub(super) fn process(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<Process> {
    let command = command(body.meta, cx);
    let no_pool = refuse_pool(body.fields, cx);
    let fields = ProcessWasmFields::decode(no_pool.as_ref().unwrap_or(body.fields), cx);
    let (fields, command) = (fields?, command?);
    let (wasi, imports) = (fields.wasi.unwrap_or_default(), fields.imports.unwrap_or_default());
    super::wasi::warn_ungranted(body.fields, &wasi, &imports, cx);
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

/// `pool` is a field of functions, so its refusal says more than that there is no such field. Gives the
/// fields without it, if it was there.
fn refuse_pool(node: &Node, cx: &mut Cx<'_>) -> Option<Node> {
    let pair = node.pair("pool")?;
    let message = "`process.wasm` has no `pool`: it runs once for each command";
    let report = Report::error(Rule::UNKNOWN_FIELD, message)
        .help("remove `pool`, or make the entry a `function.wasm`");
    cx.within("pool", |cx| cx.report(pair.key_span, report));
    let others = node.pairs().iter().filter(|pair| &*pair.key != "pool").cloned().collect();
    Some(Node::new(node.span, Data::Map(others)))
}

/// `meta.command.name`; the rest of `meta` is free.
fn command(meta: Option<&Node>, cx: &mut Cx<'_>) -> Option<Option<CommandName>> {
    let Some(command) = meta.and_then(|meta| meta.get("command")) else { return Some(None) };
    cx.within("meta.command", |cx| {
        let known: Vec<&str> = command.pairs().iter().map(|pair| &*pair.key).collect();
        let known = if known.is_empty() { vec!["name"] } else { known };
        Fields::open(command, &known, cx)?.take("name", cx)
    })
    .map(Some)
}
