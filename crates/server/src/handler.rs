//! Handlers of requests.

use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{CallError, CallId, EntryId, Invoke};
use crisol_transport::{Problem, Response as Answer};
use http::{Request, Response};

use crate::body::Body;
use crate::context::Context;

/// Handles requests.
///
/// Function endpoints and `wasi:http` proxies are handlers. Both are reached only through this trait, so limits,
/// middleware and request ids are the same for all.
///
/// # Contract
/// - The body is streamed as it arrives. It ends with an error if it exceeds the service's limit, or if the client
///   is silent for too long.
/// - The response may be returned before the body was read, and while it is still being produced.
/// - Dropping the future means that the client has gone or the server stops, and cancels the work.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Responds to one request.
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body>;

    /// The same handler for routes whose functions are called through `invoke`, if it calls any.
    fn calling(&self, _invoke: &Arc<dyn Invoke>) -> Option<Arc<dyn Handler>> {
        None
    }
}

impl Context {
    /// The problem as a response, with the request's id.
    #[must_use]
    pub fn problem(&self, problem: Problem) -> Response<Body> {
        send(problem.into_response(Some(self.id.as_str())))
    }

    /// The response to a failed call: the client gets the public message, the log the full error.
    #[must_use]
    pub fn failure(&self, function: &EntryId, call: CallId, failure: &CallError) -> Response<Body> {
        let problem = Problem::from(failure);
        self.failures.failed(function, call, failure, problem.status());
        self.problem(problem)
    }
}

/// Converts a response in memory.
pub(crate) fn send(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
