//! Pure mapping between HTTP messages and a function's arguments and results.
//!
//! A [`Transport`] reads a [`Request`] into [`Args`] by a function's [`Signature`], and writes the outcome of the
//! call as a [`Response`] or a [`Problem`]. [`WasiHttp`] binds parameters by type and name; [`Payload`] takes the
//! arguments in order. `docs/http.md` has the rules of both.
//!
//! This crate opens no socket, never waits, and is independent of the function's runtime.

#![forbid(unsafe_code)]

mod argument;
mod bad_request;
mod body;
#[cfg(test)]
mod docs;
mod fields;
mod form;
mod json;
mod media;
mod message;
pub mod openapi;
mod pairs;
mod parsed_request;
mod payload;
mod problem;
mod reply;
mod request;
mod several;
mod single;
mod text;
mod untyped;
mod wasi_http;

pub use bad_request::{BadRequest, Location};
pub use message::{Request, Response};
pub use payload::Payload;
pub use problem::{Cause, Problem};
pub use wasi_http::WasiHttp;

use crisol_core::{Args, CallError, Reply, Signature};

/// Maps HTTP messages to a function's arguments and back.
///
/// Implementations are pure: the same request and signature give the same arguments, without waiting.
pub trait Transport: Send + Sync {
    /// Reads a function's arguments from a complete request.
    ///
    /// The arguments are in the order of `signature.params`. A function without a signature, such as one in Lua,
    /// takes any arguments. Arguments that the request carries as JSON are left to the callee to check, so that no
    /// tree of them is built here.
    ///
    /// # Errors
    /// Fails if the request lacks an argument or has an invalid one; always the client's error.
    fn decode(
        &self,
        request: Request,
        signature: Option<&Signature>,
    ) -> Result<Args<'static>, BadRequest>;

    /// Writes the outcome of a call.
    ///
    /// # Errors
    /// Returns the problem document for a failed call, and for a result that is not a valid HTTP response although
    /// its type declares one (a status of 9000), which is a defect of the function.
    fn encode(
        &self,
        signature: Option<&Signature>,
        outcome: Result<Reply, &CallError>,
    ) -> Result<Response, Problem>;
}
