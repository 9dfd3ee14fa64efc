//! Between our handlers and tower's services.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use crisol_core::BoxError;
use http::{Request, Response, StatusCode};
use tower::{Service, ServiceExt};

use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;

/// A handler as a tower service; its context comes as an extension of the request.
#[derive(Clone)]
pub(super) struct Inner(pub(super) Arc<dyn Handler>);

/// A tower service around an [`Inner`] as a handler.
pub(super) struct Layered<S>(pub(super) S);

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        let handler = Arc::clone(&self.0);
        Box::pin(async move {
            Ok(match request.extensions_mut().remove::<Context>() {
                Some(context) => handler.handle(context, request).await,
                None => {
                    // `Layered` put it there; a layer between that drops extensions is a defect.
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            })
        })
    }
}

#[async_trait]
impl<S, B> Handler for Layered<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn handle(&self, context: Context, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(context);
        match self.0.clone().oneshot(request).await {
            Ok(response) => response.map(Body::stream),
            Err(never) => match never {},
        }
    }
}
