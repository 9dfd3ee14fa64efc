//! Kinds of entries: one file for each kind, one table, and everything that derives from the table.
//!
//! To add a kind, add a file that reads and describes it ([`KindDefinition`]) and answers questions about its values
//! ([`KindContent`]), and a row in the table.

mod definition;
mod env_storage;
mod env_storage_file;
mod env_storage_memory;
mod env_storage_os;
mod env_storage_router;
mod env_storage_static;
mod env_variable;
mod fs_directory;
mod function;
mod function_lua;
mod function_wasm;
mod function_wat;
mod http_endpoint;
mod http_router;
mod http_service;
mod http_static;
mod process_wasm;

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value as Json;

pub(crate) use definition::{EntryBody, KindContent, Placeholder};
pub use function_lua::LuaModule;
pub use http_router::{Cors, Middleware, RateLimit, RateLimitBy};
pub use http_service::{HttpLimits, HttpTimeouts, Tls};

use crate::decode::DecodeContext;
use crate::parts::{Code, Transport};
use crate::role::Role;
use definition::KindDefinition;

/// Expands the table. A row is a value type with the kinds that share it; each kind has a pattern of the
/// value, a variant, a name and its file.
macro_rules! kinds {
    ($($family:ident($home:ident::$value:ident) {
        $($pattern:pat => $kind:ident = $name:literal in $file:ident),+ $(,)?
    })+) => {
        $(pub use $home::$value;)+

        /// Content of an entry, by kind. Every value is valid, and its references exist and have the right
        /// kind.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Kind {
            $(#[doc = concat!($("`", $name, "` ",)+)]
            $family($value),)+
        }

        impl Kind {
            /// Returns the kind's name in the file.
            #[must_use]
            pub fn name(&self) -> KindName {
                match self {
                    $($(Self::$family($pattern) => KindName::$kind,)+)+
                }
            }

            /// Returns the transport between HTTP requests and a function's arguments; `None` for other kinds and for
            /// functions without the field.
            #[must_use]
            pub fn transport(&self) -> Option<&Transport> {
                self.content().transport()
            }

            pub(crate) fn content(&self) -> &dyn KindContent {
                match self {
                    $(Self::$family(value) => value,)+
                }
            }

            pub(crate) fn content_mut(&mut self) -> &mut dyn KindContent {
                match self {
                    $(Self::$family(value) => value,)+
                }
            }
        }

        /// Name of a kind of entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum KindName {
            $($(#[doc = concat!("`", $name, "`")]
            $kind,)+)+
        }

        impl KindName {
            /// All names with their kinds.
            pub(crate) const WORDS: &'static [(&'static str, Self)] =
                &[$($(($name, Self::$kind),)+)+];

            /// Returns the descriptor of the kind.
            pub(crate) fn descriptor(self) -> &'static KindDescriptor {
                match self {
                    $($(Self::$kind => const {
                        &KindDescriptor::of::<$file::Definition>(
                            $name,
                            |body, cx| $file::Definition::read(body, cx).map(Kind::$family),
                        )
                    },)+)+
                }
            }
        }
    };
}

kinds! {
    Function(function::Function) {
        Function { code: Code::Wat { .. }, .. } => FunctionWat = "function.wat" in function_wat,
        Function { code: Code::Wasm { .. }, .. } => FunctionWasm = "function.wasm" in function_wasm,
    }
    LuaFunction(function_lua::LuaFunction) { _ => FunctionLua = "function.lua" in function_lua }
    Process(process_wasm::Process) { _ => ProcessWasm = "process.wasm" in process_wasm }
    Directory(fs_directory::Directory) { _ => FsDirectory = "fs.directory" in fs_directory }
    EnvStorage(env_storage::EnvStorage) {
        EnvStorage::Memory => EnvStorageMemory = "env.storage.memory" in env_storage_memory,
        EnvStorage::File { .. } => EnvStorageFile = "env.storage.file" in env_storage_file,
        EnvStorage::Os => EnvStorageOs = "env.storage.os" in env_storage_os,
        EnvStorage::Static { .. } => EnvStorageStatic = "env.storage.static" in env_storage_static,
        EnvStorage::Router { .. } => EnvStorageRouter = "env.storage.router" in env_storage_router,
    }
    EnvVariable(env_variable::EnvVariable) { _ => EnvVariable = "env.variable" in env_variable }
    HttpService(http_service::HttpService) { _ => HttpService = "http.service" in http_service }
    HttpRouter(http_router::HttpRouter) { _ => HttpRouter = "http.router" in http_router }
    HttpEndpoint(http_endpoint::HttpEndpoint) { _ => HttpEndpoint = "http.endpoint" in http_endpoint }
    HttpStatic(http_static::HttpStatic) { _ => HttpStatic = "http.static" in http_static }
}

/// Reader of entries of a kind.
type Read = fn(&EntryBody<'_>, &mut DecodeContext<'_>) -> Option<Kind>;

/// Descriptor of a kind: all that the rest of the crate knows of it.
#[derive(Debug)]
pub(crate) struct KindDescriptor {
    name: &'static str,
    /// Reads an entry's fields. Returns `None` after reporting a problem.
    pub(crate) read: Read,
    /// JSON Schema of the fields.
    pub(crate) fields_schema: fn(&mut SchemaGenerator) -> Schema,
    /// JSON Schema of `meta`.
    pub(crate) meta_schema: fn() -> Json,
    /// Role that the kind plays for references.
    pub(crate) role: Option<Role>,
    /// Help for an unused entry.
    pub(crate) unused: Option<&'static str>,
    /// Required fields that get a placeholder if they cannot be read.
    pub(crate) placeholders: &'static [Placeholder],
}

impl KindDescriptor {
    const fn of<S: KindDefinition>(name: &'static str, read: Read) -> Self {
        Self {
            name,
            read,
            fields_schema: <S::Fields as JsonSchema>::json_schema,
            meta_schema: S::meta_schema,
            role: S::ROLE,
            unused: S::UNUSED,
            placeholders: S::PLACEHOLDERS,
        }
    }
}

impl KindName {
    /// Returns the name as in index files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.descriptor().name
    }

    /// Iterates over all kinds, in table order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::WORDS.iter().map(|&(_, kind)| kind)
    }

    /// Returns true if entries of this kind have a `hash`.
    pub(crate) fn has_hash(self) -> bool {
        self.descriptor().placeholders.contains(&Placeholder::Hash)
    }

    /// Returns true if entries of this kind play `role`.
    pub(crate) fn plays(self, role: Role) -> bool {
        self.descriptor().role == Some(role)
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for KindName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use schemars::SchemaGenerator;

    use super::KindName;
    use crate::role::Role;

    /// A placeholder for an unknown field would make every entry of its kind unreadable.
    #[test]
    fn placeholders_are_fields() {
        for kind in KindName::all() {
            let descriptor = kind.descriptor();
            let schema = (descriptor.fields_schema)(&mut SchemaGenerator::default());
            for placeholder in descriptor.placeholders {
                let field = format!("/properties/{}", placeholder.field());
                assert!(schema.pointer(&field).is_some(), "{kind} has no {field}");
            }
        }
    }

    /// The help for a wrong reference lists the kinds of its role.
    #[test]
    fn some_kind_plays_each_role() {
        use Role::{Folder, Function, Router, Service, Storage, Variable};
        for role in [Folder, Function, Variable, Storage, Service, Router] {
            assert!(KindName::all().any(|kind| kind.plays(role)), "{role:?}");
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in KindName::all() {
            let named: Vec<_> =
                KindName::WORDS.iter().filter(|(name, _)| *name == kind.as_str()).collect();
            assert_eq!(named, [&(kind.as_str(), kind)]);
        }
    }
}
