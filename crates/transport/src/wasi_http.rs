//! The transport `wasi-http` for functions with a signature of their own: bound by type and name.

use crisol_core::{Args, CallError, Reply, Signature};

use crate::message::{Request, Response};
use crate::{BadRequest, Problem, Transport, reply, several, single, untyped};

/// Binds a request to parameters by type and name, and a result to a response by type. A function without
/// a signature gets the request as one record, and its result decides by itself.
///
/// (Functions that are `wasi:http` handlers themselves get the real request and are not bound at all.)
#[derive(Debug, Clone, Copy, Default)]
pub struct WasiHttp;

impl Transport for WasiHttp {
    fn decode(
        &self,
        request: Request,
        signature: Option<&Signature>,
    ) -> Result<Args<'static>, BadRequest> {
        let Some(signature) = signature else { return untyped::bind(&request) };
        match signature.params.as_slice() {
            [] => Ok(Args::none()),
            [param] => single::bind(param, request),
            params => several::bind(params, &request),
        }
    }

    fn encode(
        &self,
        signature: Option<&Signature>,
        outcome: Result<Reply, &CallError>,
    ) -> Result<Response, Problem> {
        match outcome {
            Ok(reply) => match signature {
                Some(signature) => reply::by_type(signature.result.as_ref(), &reply),
                None => untyped::write(&reply),
            },
            Err(error) => reply::failure(error),
        }
    }
}
