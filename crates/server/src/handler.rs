//! What answers a request.

use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{CallError, CallId, EntryId, Invoke};
use crisol_transport::{Problem, Response as Answer};
use http::{Request, Response};

use crate::body::Body;
use crate::context::Context;

/// Answers requests.
///
/// A function endpoint is one, a `wasi:http` proxy another; both are reached through this alone, so
/// limits, middleware and request ids are the same for all.
///
/// # Contract
/// - The body arrives as it is read. It ends with an error when it is over the service's limit or the
///   client is silent for too long.
/// - The response may be returned before the body has been read and while it is still being made.
/// - Dropping the future means that the client has gone or the server stops: what runs is cancelled.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Answers one request.
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body>;

    /// The same handler for routes whose functions are called through `invoke`, if it calls any.
    fn calling(&self, _invoke: &Arc<dyn Invoke>) -> Option<Arc<dyn Handler>> {
        None
    }
}

impl Context {
    /// The response that tells the client of a problem, with the request's id.
    #[must_use]
    pub fn problem(&self, problem: Problem) -> Response<Body> {
        send(problem.into_response(Some(self.id.as_str())))
    }

    /// The response to a call that failed: the client learns what it may, the log gets everything.
    #[must_use]
    pub fn failure(&self, function: &EntryId, call: CallId, failure: &CallError) -> Response<Body> {
        let problem = Problem::from(failure);
        self.failures.failed(function, call, failure, problem.status());
        self.problem(problem)
    }
}

/// A response in memory as one that is sent.
pub(crate) fn send(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
