//! YAML registry of Crisol: parses, links and checks an app and reports every problem with its location.
//!
//! [`Loader`] reads the index files of an app into a [`Registry`] of entries, or returns [`Problems`]: each
//! error with its location and a fix. Every [`Entry`] in a registry is valid: it has one closed [`Kind`], its
//! references exist and have the right kind, and its defaults are filled in.
//!
//! This is the only crate that knows YAML. It does not know WebAssembly: other crates open the module, check
//! that `method` is exported and `hash` is right, and report problems through [`Problems::at`].

#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm, reason = "a new kind must not be ignored anywhere")]

mod change;
mod check;
mod decode;
mod edit;
mod entry;
mod field;
mod files;
mod hash_fields;
mod json_schema;
mod kinds;
mod link;
mod load;
mod locate;
mod overrides;
mod parts;
mod problems;
mod reference;
mod registry;
mod role;
mod rule;
mod source;
mod values;
mod yaml;

pub use change::Changes;
pub use check::CheckedApp;
pub use edit::{EditError, ImportsEdit, NotEditable, write_hashes, write_imports};
pub use field::EntryField;
pub use files::{MAX_FOLDERS, is_index_file, is_searched_folder};
pub use hash_fields::{HashField, HashFields};
pub use json_schema::json_schema;
// The table in `kinds` lists the kinds, so a new kind adds a row there and nothing here.
pub use kinds::*;
pub use load::Loader;
pub use parts::{
    Code, EnvMapping, Limits, Mount, Parent, Pem, Pool, Retry, RetryOn, SourceText, Strategy,
    Transport, Wasi,
};
pub use problems::{Color, Problem, Problems, Report, Severity};
pub use registry::{App, Entry, IndexFile, Registry};
pub use rule::Rule;
pub use source::Location;
pub use values::{
    CommandName, DirectoryPath, EnvName, FileMode, FsPath, GuestPath, HostPattern, HttpMethod,
    ImportToken, Imports, InvalidValue, ListenAddr, Method, Network, NetworkRule, Package,
    PathPrefix, PortPattern, RoutePath, RouteShape, Segment, Sha256Hash,
};
