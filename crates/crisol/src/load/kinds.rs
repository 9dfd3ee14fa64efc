//! The façade's side of the kinds: one slice for each family, with all that a load and a reload take of an entry.
//!
//! Calls go to what a slice adds to the assembled app; a drain and the numbers go by the pools in it.
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

/// The slice of a kind.
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
