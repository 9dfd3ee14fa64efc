//! What answers a request.

use async_trait::async_trait;
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
}

/// A response in memory as one that is sent.
pub(crate) fn send(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// A problem as the response that is sent.
pub(crate) fn problem(context: &Context, problem: Problem) -> Response<Body> {
    send(problem.into_response(Some(context.id.as_str())))
}
