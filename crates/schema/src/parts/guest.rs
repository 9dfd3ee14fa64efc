//! Parts shared by all entries with WebAssembly code: the code, the transport, the fields.

use std::path::Path;
use std::sync::Arc;

use crisol_core::EntryId;
use schemars::JsonSchema;
use serde::Serialize;

use super::source_text::SourceText;
use crate::decode::{Decode, DecodeContext, one_of};
use crate::rule::Rule;
use crate::values::{FsPath, Sha256Hash};
use crate::yaml::Node;

/// Code of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Code {
    /// WebAssembly text: a core module or a component.
    Wat {
        /// WebAssembly text.
        source: SourceText,
    },
    /// A binary file in an `fs.directory`.
    Wasm {
        /// `fs.directory` entry with the file.
        fs: EntryId,
        /// Path of the file in that folder.
        path: FsPath,
        /// Hash of the file's bytes.
        hash: Sha256Hash,
    },
}

impl Code {
    /// Returns the file that `file://` in `source` names.
    pub(crate) fn source_file(&self) -> Option<&Path> {
        match self {
            Self::Wat { source } => source.file(),
            Self::Wasm { .. } => None,
        }
    }
}

/// Mapping between a call's input and output and the export's arguments and results.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// The call's values are the arguments, in order.
    #[default]
    Payload,
    /// The function handles an HTTP request.
    WasiHttp,
    /// Transport of the embedding program, with its name from [`crate::Loader::transport`].
    #[serde(untagged)]
    #[schemars(skip)]
    Custom(Arc<str>),
}

impl Decode for Transport {
    const EXAMPLE: &'static str = "payload";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let own = cx.transports.iter().map(|name| (&**name, Self::Custom(Arc::clone(name))));
        let words = [("payload", Self::Payload), ("wasi-http", Self::WasiHttp)];
        let words: Vec<_> = words.into_iter().chain(own).collect();
        one_of(node, &words, Rule::UNKNOWN_VALUE, cx)
    }
}

/// Declares the fields of a guest: the kind's own, then those that every guest has.
macro_rules! guest_shape {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        $crate::decode::shape! {
            $(#[$meta])*
            pub(crate) struct $name {
                $($own)*
                /// Export to call: its name, or `interface#func`. The interface may omit its package and
                /// version; `add_two` and `addTwo` match `add-two`.
                method: $crate::values::Method,
                /// Signature of a core module as WIT, inline or as `file://path`. Components have a signature
                /// of their own. Without it, a core module takes and returns plain numbers.
                wit: Option<$crate::decode::InlineOrFile>,
                /// Mapping between a call's input and output and the export's arguments and results. Default:
                /// `payload`.
                transport: Option<$crate::parts::Transport>,
                /// Host interfaces granted to the guest: packages such as `wasi:clocks`, single interfaces of
                /// them, or interfaces of the embedding program. Calls to any other imported interface fail.
                /// Output, exits, random numbers and `wasi:io` need no grant.
                imports: Option<$crate::values::Imports>,
                /// Rejects the entry at load if the guest imports interfaces that `imports` does not list.
                /// Default: false.
                strict_imports: Option<bool>,
                /// WASI configuration of the guest: arguments, variables, folders, network peers.
                wasi: Option<$crate::parts::Wasi>,
                /// Resource limits of each call.
                limits: Option<$crate::parts::Limits>,
            }
        }
    };
}

pub(crate) use guest_shape;
