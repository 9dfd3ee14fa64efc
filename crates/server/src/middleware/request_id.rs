//! Hands the request's id on to the route.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};

use crate::body::Body;
use crate::context::{Context, REQUEST_ID};
use crate::handler::Handler;

pub(super) struct Stamped(pub(super) Arc<dyn Handler>);

#[async_trait]
impl Handler for Stamped {
    async fn handle(&self, context: Context, mut request: Request<Body>) -> Response<Body> {
        request.headers_mut().insert(REQUEST_ID, context.id.header_value());
        self.0.handle(context, request).await
    }
}
