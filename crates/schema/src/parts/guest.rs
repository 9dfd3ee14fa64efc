//! What entries with code for WebAssembly have in common: the code, the transport, the fields.

use std::path::Path;
use std::sync::Arc;

use crisol_core::EntryId;
use schemars::JsonSchema;
use serde::Serialize;

use super::source_text::SourceText;
use crate::decode::{Cx, Decode, one_of};
use crate::rule::Rule;
use crate::values::{FsPath, Sha256Hash};
use crate::yaml::Node;

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

impl Code {
    /// The file that `file://` in `source` names.
    pub(crate) fn source_file(&self) -> Option<&Path> {
        match self {
            Self::Wat { source } => source.file(),
            Self::Wasm { .. } => None,
        }
    }
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
        $crate::decode::shape! {
            $(#[$meta])*
            pub(crate) struct $name {
                $($own)*
                /// The export to call: its name, or `interface#func`. The interface may be given
                /// without package and version; `add_two` and `addTwo` find `add-two`.
                method: $crate::values::Method,
                /// The signature of a core module as WIT, in place or as `file://path`. Components bring
                /// their own; without it a core module's numbers are taken as they are.
                wit: Option<$crate::decode::Source>,
                /// How a call's input and output become arguments and results. Default: `payload`.
                transport: Option<$crate::parts::Transport>,
                /// Host interfaces that the guest may use: packages such as `wasi:clocks`, single
                /// interfaces of them, or interfaces of the program that loads the app. One that the guest imports and that is not here fails when it is
                /// called. Output, exits, random numbers and `wasi:io` need none.
                imports: Option<$crate::values::Imports>,
                /// Refuse the entry at load when the guest imports what `imports` does not list.
                /// Default: false.
                strict_imports: Option<bool>,
                /// What the guest gets of the outside: arguments, variables, folders, peers.
                wasi: Option<$crate::parts::Wasi>,
                /// What a call may use up.
                limits: Option<$crate::parts::Limits>,
            }
        }
    };
}

pub(crate) use guest_shape;
