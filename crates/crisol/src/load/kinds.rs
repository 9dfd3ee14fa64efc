//! Kinds of entries in the façade: one slice per family of kinds, with all that a load and a reload need of an entry.
//!
//! A slice adds callables, commands or handlers to the assembled app. Calls, drains and statistics use those and know
//! nothing of slices.
#![warn(
    clippy::wildcard_enum_match_arm,
    reason = "a kind or a case that is new must not be ignored"
)]

mod env;
mod folder;
mod function;
mod http;
mod lua;
mod process;
mod slice;

use crisol_schema::Kind;

use self::slice::Slice;

pub(crate) use folder::report as report_folders;
#[cfg(feature = "http")]
pub(crate) use http::serve;
pub(crate) use slice::Read;

/// Returns the slice of a kind.
pub(crate) fn slice_of(kind: &Kind) -> &dyn Slice {
    match kind {
        Kind::Function(function) => function,
        Kind::Process(process) => process,
        Kind::LuaFunction(function) => function,
        Kind::Directory(folder) => folder,
        Kind::EnvStorage(storage) => storage,
        Kind::EnvVariable(variable) => variable,
        Kind::HttpService(service) => service,
        Kind::HttpRouter(_) | Kind::HttpEndpoint(_) | Kind::HttpStatic(_) => &http::Routes,
    }
}
