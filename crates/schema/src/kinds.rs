//! What each kind of entry holds: the validated types, and how each is read from its fields.

mod env;
mod folder;
mod function;
mod http;
mod limits;
mod lua;
mod middleware;
mod pem;
mod pool;
mod retry;
mod source_text;
mod wasi;

use std::path::Path;

use serde::Serialize;

pub use env::{EnvStorage, EnvVariable};
pub use folder::Directory;
pub use function::{Code, Function, Process, Transport};
pub use http::{
    HttpEndpoint, HttpLimits, HttpRouter, HttpService, HttpStatic, HttpTimeouts, Parent, Tls,
};
pub use limits::Limits;
pub use lua::{LuaFunction, LuaModule};
pub use middleware::{Cors, Middleware, RateLimit, RateLimitBy};
pub use pem::Pem;
pub use pool::{Pool, Strategy};
pub use retry::{Retry, RetryOn};
pub use source_text::SourceText;
pub use wasi::{EnvMapping, Mount, Wasi};

pub(crate) use env::{
    EnvVariableFields, StorageFileFields, StorageMemoryFields, StorageOsFields,
    StorageRouterFields, StorageStaticFields,
};
pub(crate) use folder::DirectoryFields;
pub(crate) use function::{FunctionWasmFields, FunctionWatFields, ProcessWasmFields};
pub(crate) use http::{HttpEndpointFields, HttpRouterFields, HttpServiceFields, HttpStaticFields};
pub(crate) use lua::LuaFunctionFields;
pub(crate) use retry::RetryFields;

use crate::decode::{Cx, Decode};
use crate::kind::KindName;
use crate::yaml::Node;

/// What an entry is, by kind. A value that exists is valid and its references exist and are of the
/// right kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Kind {
    /// `function.wat` and `function.wasm`.
    Function(Function),
    /// `process.wasm`.
    Process(Process),
    /// `function.lua`.
    LuaFunction(LuaFunction),
    /// `fs.directory`.
    Directory(Directory),
    /// `env.storage.*`.
    EnvStorage(EnvStorage),
    /// `env.variable`.
    EnvVariable(EnvVariable),
    /// `http.service`.
    HttpService(HttpService),
    /// `http.router`.
    HttpRouter(HttpRouter),
    /// `http.endpoint`.
    HttpEndpoint(HttpEndpoint),
    /// `http.static`.
    HttpStatic(HttpStatic),
}

impl Kind {
    /// The kind's name in the file.
    #[must_use]
    pub fn name(&self) -> KindName {
        match self {
            Self::Function(Function { code: Code::Wat { .. }, .. }) => KindName::FunctionWat,
            Self::Function(_) => KindName::FunctionWasm,
            Self::Process(_) => KindName::ProcessWasm,
            Self::LuaFunction(_) => KindName::FunctionLua,
            Self::Directory(_) => KindName::FsDirectory,
            Self::EnvStorage(storage) => storage.kind_name(),
            Self::EnvVariable(_) => KindName::EnvVariable,
            Self::HttpService(_) => KindName::HttpService,
            Self::HttpRouter(_) => KindName::HttpRouter,
            Self::HttpEndpoint(_) => KindName::HttpEndpoint,
            Self::HttpStatic(_) => KindName::HttpStatic,
        }
    }
}

impl Kind {
    /// The file that a field's `file://` names.
    pub(crate) fn source_file(&self, field: &str) -> Option<&Path> {
        let pem = |pem: fn(&Tls) -> &Pem| match self {
            Self::HttpService(service) => {
                service.tls.as_ref().and_then(|tls| pem(tls).source_file())
            }
            _ => None,
        };
        let source = match (self, field) {
            (Self::Function(Function { code: Code::Wat { source }, .. }), "source") => Some(source),
            (Self::LuaFunction(lua), "source") => Some(&lua.source),
            (Self::Function(function), "wit") => function.wit.as_ref(),
            (Self::Process(process), "wit") => process.wit.as_ref(),
            (_, "tls.cert") => return pem(|tls| &tls.cert),
            (_, "tls.key") => return pem(|tls| &tls.key),
            _ => None,
        };
        source?.file()
    }
}

/// The parts of an entry that its kind reads.
pub(crate) struct Body<'n> {
    /// The kind's own fields.
    pub(crate) fields: &'n Node,
    pub(crate) meta: Option<&'n Node>,
}

/// Reads an entry's fields by its kind.
pub(crate) fn read(kind: KindName, body: &Body<'_>, cx: &mut Cx<'_>) -> Option<Kind> {
    let fields = body.fields;
    Some(match kind {
        KindName::FunctionWat => {
            let retry = retry::in_meta(body.meta, cx);
            let function = FunctionWatFields::decode(fields, cx)?.into_function(retry?);
            wasi::warn_ungranted(fields, &function.wasi, &function.imports, cx);
            Kind::Function(function)
        }
        KindName::FunctionWasm => {
            let retry = retry::in_meta(body.meta, cx);
            let function = FunctionWasmFields::decode(fields, cx)?.into_function(retry?);
            wasi::warn_ungranted(fields, &function.wasi, &function.imports, cx);
            Kind::Function(function)
        }
        KindName::ProcessWasm => Kind::Process(function::process(body, cx)?),
        KindName::FunctionLua => Kind::LuaFunction(lua::read(body, cx)?),
        KindName::FsDirectory => Kind::Directory(folder::read(fields, cx)?),
        KindName::EnvStorageMemory
        | KindName::EnvStorageFile
        | KindName::EnvStorageOs
        | KindName::EnvStorageStatic
        | KindName::EnvStorageRouter => Kind::EnvStorage(env::storage(kind, fields, cx)?),
        KindName::EnvVariable => Kind::EnvVariable(env::variable(fields, cx)?),
        KindName::HttpService => Kind::HttpService(http::service(fields, cx)?),
        KindName::HttpRouter => Kind::HttpRouter(http::router(body, cx)?),
        KindName::HttpEndpoint => Kind::HttpEndpoint(http::endpoint(body, cx)?),
        KindName::HttpStatic => Kind::HttpStatic(http::statics(body, cx)?),
    })
}
