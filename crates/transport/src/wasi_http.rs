//! The transport `wasi-http` for functions with a signature of their own: bound by type and name.

use crisol_core::{Args, CallError, Reply, Signature};

use crate::message::{Request, Response};
use crate::{BadRequest, Problem, Transport, reply, several, single};

/// Binds a request to parameters by type and name, and a result to a response by type.
///
/// (Functions that are `wasi:http` handlers themselves get the real request and are not bound at all.)
#[derive(Debug, Clone, Copy, Default)]
pub struct WasiHttp;

impl Transport for WasiHttp {
    fn decode(&self, request: Request, signature: &Signature) -> Result<Args<'static>, BadRequest> {
        match signature.params.as_slice() {
            [] => Ok(Args::none()),
            [param] => single::bind(param, request),
            params => several::bind(params, &request),
        }
    }

    fn encode(
        &self,
        signature: &Signature,
        outcome: Result<Reply, &CallError>,
    ) -> Result<Response, Problem> {
        match outcome {
            Ok(reply) => reply::by_type(signature.result.as_ref(), &reply),
            Err(error) => reply::failure(error),
        }
    }
}
