//! Timeout of requests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crisol_transport::{Cause, Problem};
use http::{Request, Response};
use tokio::time::{Instant, timeout_at};

use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;

pub(super) struct TimeoutHandler {
    pub(super) within: Duration,
    pub(super) inner: Arc<dyn Handler>,
}

#[async_trait]
impl Handler for TimeoutHandler {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let deadline = Instant::now() + self.within;
        // The route gets the deadline too, so that a function's error can report the time spent.
        let within = context.clone().with_deadline(deadline);
        match timeout_at(deadline, self.inner.handle(within, request)).await {
            Ok(response) => response,
            Err(_) => {
                let detail = "the request was not answered in time";
                context.problem(Problem::new(Cause::Deadline, detail))
            }
        }
    }
}
