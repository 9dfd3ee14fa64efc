//! Pure mapping between HTTP messages and a function's arguments and results.
//!
//! A [`Transport`] reads a [`Request`] by a function's [`Signature`] into [`Args`], and writes what the
//! call gave as a [`Response`] or a [`Problem`]. [`WasiHttp`] binds parameters by type and name,
//! [`Payload`] takes the arguments in order. The rules of both are tables ([`tables`]): what the code
//! walks through is what the documentation prints.
//!
//! Nothing here opens a socket, waits, or knows who calls the function.

mod bad_request;
mod body;
mod bound;
mod fields;
mod form;
mod json;
mod media;
mod message;
pub mod openapi;
mod pairs;
mod payload;
mod problem;
mod reply;
mod request;
mod several;
mod single;
mod sources;
mod table;
mod text;
mod untyped;
mod wasi_http;

pub use bad_request::{BadRequest, Place};
pub use message::{Request, Response};
pub use payload::Payload;
pub use problem::{Cause, Problem};
pub use table::{Table, tables};
pub use wasi_http::WasiHttp;

use crisol_core::{Args, CallError, Reply, Signature};

/// Maps HTTP messages to a function's arguments and back.
///
/// Implementations are pure: the same request and signature give the same arguments, and nothing is
/// waited for.
pub trait Transport: Send + Sync {
    /// Reads a function's arguments from a request whose body has arrived in full.
    ///
    /// The arguments are in the order of `signature.params`; a function without a signature, such as one
    /// in Lua, takes what it is given. That they fit their types is left to the
    /// callee wherever the request carries them as JSON, so that no tree is built of them here.
    ///
    /// # Errors
    /// When the request does not carry what the parameters need; always the client's error.
    fn decode(
        &self,
        request: Request,
        signature: Option<&Signature>,
    ) -> Result<Args<'static>, BadRequest>;

    /// Writes what a call gave.
    ///
    /// # Errors
    /// The problem to answer with: for a failed call, and for a result that is no HTTP response
    /// although its type says so (a status of 9000), which is a defect of the function.
    fn encode(
        &self,
        signature: Option<&Signature>,
        outcome: Result<Reply, &CallError>,
    ) -> Result<Response, Problem>;
}
