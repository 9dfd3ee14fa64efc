//! Function endpoints: read the body, bind, call, write.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use crisol_core::{
    BoxError, Budget, CallContext, CallError, CallId, Caller, EntryId, Invoke, Reply, Signature,
};
use crisol_transport::{Cause, Problem, Request as Message, Transport};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::LengthLimitError;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::body::{Body, BodyTimeout};
use crate::collect::{CollectError, CollectedBody, collect};
use crate::context::Context;
use crate::handler::{Handler, send};

/// Handler that calls a function for each request.
pub(crate) struct Endpoint {
    pub(crate) id: EntryId,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) invoke: Arc<dyn Invoke>,
    /// Budget for the bytes of request bodies.
    pub(crate) bodies: Budget,
}

#[async_trait]
impl Handler for Endpoint {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        match self.answer(&context, request).await {
            Ok(response) => response,
            Err(problem) => context.problem(problem),
        }
    }
}

impl Endpoint {
    async fn answer(
        &self,
        context: &Context,
        request: Request<Body>,
    ) -> Result<Response<Body>, Problem> {
        let signature = self.invoke.signature(&self.id);
        let signature = signature.as_deref();
        let (parts, body) = request.into_parts();
        // The body would take memory before the pool is asked, so a full pool refuses it first.
        if !body.is_end_stream()
            && let Err(refused) = self.invoke.admits(&self.id)
        {
            let call = CallContext::new(Caller::Http).id();
            return self.finish(context, signature, call, Err(refused));
        }
        // Held until the reply is written: arguments decoded from the body live as long as the call.
        let CollectedBody { bytes, held: _held } = self.read(body, context).await?;
        let message = message(parts, context, bytes);
        let args = self.transport.decode(message, signature).map_err(|refusal| {
            debug!(function = %self.id, %refusal, "the request cannot be bound");
            Problem::from(&refusal)
        })?;
        let mut call = CallContext::new(Caller::Http);
        if let Some(deadline) = context.deadline() {
            call = call.with_deadline(deadline);
        }
        let call_id = call.id();
        let outcome = self.invoke.invoke(&self.id, call, args).await;
        self.finish(context, signature, call_id, outcome)
    }

    fn finish(
        &self,
        context: &Context,
        signature: Option<&Signature>,
        call: CallId,
        outcome: Result<Reply, CallError>,
    ) -> Result<Response<Body>, Problem> {
        let (answer, failure) = match outcome {
            Ok(reply) => (self.transport.encode(signature, Ok(reply)), None),
            Err(failure) => (self.transport.encode(signature, Err(&failure)), Some(failure)),
        };
        if let Some(failure) = failure {
            let status = answer.as_ref().map_or_else(Problem::status, |response| response.status);
            context.failures.failed(&self.id, call, &failure, status);
        }
        answer.map(send).inspect_err(|problem| {
            if let Some(inside) = problem.log_detail()
                && context.failures.admits(Some(&self.id), "no-response")
            {
                error!(function = %self.id, reason = inside, "the result is not a valid response");
            }
        })
    }

    /// Reads a body to its end.
    async fn read(&self, body: Body, context: &Context) -> Result<CollectedBody, Problem> {
        if body.is_end_stream() {
            return Ok(CollectedBody { bytes: Bytes::new(), held: self.bodies.open() });
        }
        match timeout(context.read_timeout, collect(body, &self.bodies)).await {
            Ok(Ok(collected)) => Ok(collected),
            Ok(Err(CollectError::Broken(broken))) => Err(broken_body(&broken)),
            Ok(Err(CollectError::TooLarge)) => Err(too_large()),
            Ok(Err(CollectError::NoRoom(over))) => {
                debug!(function = %self.id, %over, "`limits.max_buffered_bytes` is used up");
                Err(no_room())
            }
            Err(_) => Err(slow_body()),
        }
    }
}

fn message(parts: Parts, context: &Context, body: Bytes) -> Message {
    Message {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        params: context.params().to_vec(),
        body,
    }
}

fn no_room() -> Problem {
    let detail = "the service has reached its limit of request bodies in memory; try again later";
    Problem::new(Cause::Unavailable, detail)
}

fn too_large() -> Problem {
    Problem::new(Cause::TooLarge, "the body exceeds the size limit of the service")
}

fn slow_body() -> Problem {
    Problem::new(Cause::RequestTimeout, "the body did not arrive in time")
}

/// The response to a body that ended with an error.
fn broken_body(error: &BoxError) -> Problem {
    if error.is::<LengthLimitError>() {
        too_large()
    } else if error.is::<BodyTimeout>() {
        slow_body()
    } else {
        Problem::new(Cause::BadRequest, "the body broke off")
    }
}
