//! The `wasi-http` transport for functions with a signature of their own: binding by type and name.

use crisol_core::{Args, CallError, Reply, Signature};

use crate::message::{Request, Response};
use crate::{BadRequest, Problem, Transport, reply, several, single, untyped};

/// Binding by type and name. It binds a request to parameters and writes a result as a response, by their types. A
/// function without a signature gets the request as one record, and its result is written by its value.
///
/// Functions that are `wasi:http` handlers get the request itself and are not bound.
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
