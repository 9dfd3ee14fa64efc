//! The `payload` transport over HTTP: a JSON array of arguments in, JSON out.

use crisol_core::{Args, CallError, Reply, Signature};

use crate::bad_request::Location;
use crate::message::{Request, Response};
use crate::{BadRequest, Problem, Transport, body, reply, untyped};

/// Expected content of the body, for errors.
const ARGUMENTS: &str = "an array of the arguments, in order,";

/// Binding by position. The body is a JSON array of the arguments, in order; an empty body means no arguments. The
/// result is JSON of any type; a function without result gives `204`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payload;

impl Transport for Payload {
    fn decode(
        &self,
        request: Request,
        _signature: Option<&Signature>,
    ) -> Result<Args<'static>, BadRequest> {
        if request.body.is_empty() {
            return Ok(Args::none());
        }
        body::check_json((&request.headers, body::JSON), &request.body, &ARGUMENTS)?;
        if request.body.trim_ascii_start().first() != Some(&b'[') {
            let found = String::from_utf8_lossy(&request.body);
            return Err(BadRequest::mismatch(
                Location::Body,
                format_args!("{ARGUMENTS} as JSON"),
                &found,
            ));
        }
        Ok(Args::json(Vec::from(request.body)))
    }

    fn encode(
        &self,
        signature: Option<&Signature>,
        outcome: Result<Reply, &CallError>,
    ) -> Result<Response, Problem> {
        match outcome {
            Ok(reply) => match signature {
                Some(signature) => reply::json(signature.result.as_ref(), &reply),
                None => untyped::json(&reply),
            },
            Err(error) => reply::failure(error),
        }
    }
}
