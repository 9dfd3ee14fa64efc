//! Passes the request's id to the route.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderName, Request, Response};

use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;

pub(super) struct RequestIdHandler {
    pub(super) name: HeaderName,
    pub(super) inner: Arc<dyn Handler>,
}

#[async_trait]
impl Handler for RequestIdHandler {
    async fn handle(&self, context: Context, mut request: Request<Body>) -> Response<Body> {
        request.headers_mut().insert(self.name.clone(), context.id.header_value());
        self.inner.handle(context, request).await
    }
}
