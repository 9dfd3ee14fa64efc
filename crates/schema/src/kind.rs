//! The names of the kinds. What each holds is in `kinds`.

use std::fmt;

/// The kind of an entry, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KindName {
    /// `function.wat`
    FunctionWat,
    /// `function.wasm`
    FunctionWasm,
    /// `function.lua`
    FunctionLua,
    /// `process.wasm`
    ProcessWasm,
    /// `fs.directory`
    FsDirectory,
    /// `env.storage.memory`
    EnvStorageMemory,
    /// `env.storage.file`
    EnvStorageFile,
    /// `env.storage.os`
    EnvStorageOs,
    /// `env.storage.static`
    EnvStorageStatic,
    /// `env.storage.router`
    EnvStorageRouter,
    /// `env.variable`
    EnvVariable,
    /// `http.service`
    HttpService,
    /// `http.router`
    HttpRouter,
    /// `http.endpoint`
    HttpEndpoint,
    /// `http.static`
    HttpStatic,
}

impl KindName {
    /// Every kind with its name.
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("function.wat", Self::FunctionWat),
        ("function.wasm", Self::FunctionWasm),
        ("function.lua", Self::FunctionLua),
        ("process.wasm", Self::ProcessWasm),
        ("fs.directory", Self::FsDirectory),
        ("env.storage.memory", Self::EnvStorageMemory),
        ("env.storage.file", Self::EnvStorageFile),
        ("env.storage.os", Self::EnvStorageOs),
        ("env.storage.static", Self::EnvStorageStatic),
        ("env.storage.router", Self::EnvStorageRouter),
        ("env.variable", Self::EnvVariable),
        ("http.service", Self::HttpService),
        ("http.router", Self::HttpRouter),
        ("http.endpoint", Self::HttpEndpoint),
        ("http.static", Self::HttpStatic),
    ];

    /// What an endpoint may call.
    pub(crate) const FUNCTIONS: &'static [Self] =
        &[Self::FunctionWat, Self::FunctionWasm, Self::FunctionLua];

    /// Where variables may be kept.
    pub(crate) const STORAGES: &'static [Self] = &[
        Self::EnvStorageMemory,
        Self::EnvStorageFile,
        Self::EnvStorageOs,
        Self::EnvStorageStatic,
        Self::EnvStorageRouter,
    ];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for KindName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
