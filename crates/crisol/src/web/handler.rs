//! HTTP handlers: guests that answer requests themselves. A request is one call; its response may stream while the
//! guest continues.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use crisol_core::{BoxError, CallContext, CallError, Caller, Invoke, Reply, Value};
use crisol_engine::{Failure, ProxyAnswer};
use crisol_server::{Body, Context, FailureLog, Handler};
use crisol_transport::{Transport as _, WasiHttp};
use http::{Request, Response};
use http_body::Body as _;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::lent::{Loan, lend};
use super::streamed::{Failures, Run, streamed};
use crate::call::{
    AnyPool, CallScope, Guest, InnerCall, Instances, Interceptor, Job, Next, Pooled, Worker,
};

/// A pooled guest that answers HTTP requests itself.
pub(crate) struct HttpHandler {
    pub(crate) guest: Pooled<Instances>,
}

/// An [`HttpHandler`] behind a route.
pub(super) struct Routed {
    handler: Arc<HttpHandler>,
    interceptors: Arc<[Arc<dyn Interceptor>]>,
    /// Target of the guest's nested calls; none before the routes are served.
    invoke: Option<Arc<dyn Invoke>>,
}

impl Routed {
    pub(super) fn new(
        handler: Arc<HttpHandler>,
        interceptors: Arc<[Arc<dyn Interceptor>]>,
    ) -> Self {
        Self { handler, interceptors, invoke: None }
    }
}

#[async_trait]
impl Handler for Routed {
    fn calling(&self, invoke: &Arc<dyn Invoke>) -> Option<Arc<dyn Handler>> {
        let (handler, interceptors) = (Arc::clone(&self.handler), Arc::clone(&self.interceptors));
        Some(Arc::new(Self { handler, interceptors, invoke: Some(Arc::clone(invoke)) }))
    }

    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let mut call = CallContext::new(Caller::Http);
        if let Some(deadline) = context.deadline() {
            call = call.with_deadline(deadline);
        }
        let id = call.id();
        let answered = if self.interceptors.is_empty() {
            let (invoke, failures) = (self.invoke.clone(), context.failures());
            self.handler.answer(invoke, &call, (context.secure(), failures), request).await
        } else {
            Box::pin(self.intercepted(call, &context, request)).await
        };
        match answered {
            Ok(response) => response,
            Err(failure) => context.failure(&self.handler.guest.id, id, &failure),
        }
    }
}

impl Routed {
    /// Runs a request through interceptors. Returns the guest's response, or one built from an interceptor's reply.
    async fn intercepted(
        &self,
        call: CallContext,
        context: &Context,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let id = &self.handler.guest.id;
        let exchange = Exchange {
            handler: &self.handler,
            invoke: &self.invoke,
            context,
            request: Mutex::new(Some(request)),
            response: Mutex::new(None),
        };
        let reply = Next::new(id, &self.interceptors, &exchange).run(call, Vec::new()).await?;
        if let Some(response) =
            exchange.response.into_inner().unwrap_or_else(PoisonError::into_inner)
        {
            return Ok(response);
        }
        let answer = WasiHttp.encode(None, Ok(reply)).map_err(|problem| {
            let inside =
                problem.log_detail().unwrap_or("the reply of an interceptor is not a response");
            CallError::unexpected_result(id, inside.to_owned())
        })?;
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// Request and response of a call with interceptors. Both are streams, so they bypass the interceptors.
struct Exchange<'a> {
    handler: &'a Arc<HttpHandler>,
    invoke: &'a Option<Arc<dyn Invoke>>,
    context: &'a Context,
    request: Mutex<Option<Request<Body>>>,
    response: Mutex<Option<Response<Body>>>,
}

#[async_trait]
impl InnerCall for Exchange<'_> {
    async fn run(&self, context: CallContext, _: Vec<Value>) -> Result<Reply, CallError> {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(request) = request else {
            let source = "its request is a stream, and an interceptor has sent it already";
            return Err(CallError::internal(&self.handler.guest.id, source));
        };
        let outside = (self.context.secure(), self.context.failures());
        let response = self.handler.answer(self.invoke.clone(), &context, outside, request).await?;
        *self.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        Ok(Reply::new(()))
    }
}

impl HttpHandler {
    /// Returns the pool of its instances.
    pub(crate) fn pool(&self) -> &dyn AnyPool {
        &*self.guest.pool
    }

    async fn answer(
        self: &Arc<Self>,
        invoke: Option<Arc<dyn Invoke>>,
        call: &CallContext,
        (secure, failures): (bool, &FailureLog),
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let id = &self.guest.id;
        let deadline = self.guest.deadline(call);
        let admitted = self.guest.admit(call, deadline).await?.into_shared();
        let mut admitted = admitted.ok_or_else(|| CallError::unavailable(id))?;

        let (sender, mut receiver) = oneshot::channel();
        let (this, call) = (Arc::clone(self), call.clone());
        let run = async move {
            let guest = &this.guest.workers().0;
            let answering = Answering { guest, invoke, secure, request, sender };
            this.guest.run(&mut admitted, &call, answering).await
        };
        // Lines that the guest logs while its body is read belong to this request too.
        let mut run: Run = Box::pin(run.instrument(Span::current()));
        // The guest sends the response head while `run` is polled, so the receiver needs no wake-up of its own.
        let (answer, over) = poll_fn(|cx| {
            let over = run.as_mut().poll(cx);
            match (receiver.try_recv(), over) {
                (Ok(answer), over) => Poll::Ready((Some(answer), over)),
                (Err(_), Poll::Ready(over)) => Poll::Ready((None, Poll::Ready(over))),
                (Err(_), Poll::Pending) => Poll::Pending,
            }
        })
        .await;
        let trap = |source: BoxError| CallError::trap(id, source);
        match (answer, over) {
            (_, Poll::Ready(Err(failure))) => Err(failure),
            (Some(Ok(response)), Poll::Ready(Ok(()))) => Ok(response.map(Body::stream)),
            (Some(Ok(response)), Poll::Pending) => {
                let failures = Failures { log: failures.clone(), function: id.clone() };
                Ok(streamed(response, run, failures))
            }
            (Some(Err(error)), _) => Err(trap(error.into())),
            (None, _) => Err(trap("the guest returned without a response".into())),
        }
    }
}

/// Job of one request on an instance.
struct Answering<'a> {
    guest: &'a Guest,
    invoke: Option<Arc<dyn Invoke>>,
    secure: bool,
    request: Request<Body>,
    sender: oneshot::Sender<ProxyAnswer>,
}

impl Job<Instances> for Answering<'_> {
    type Output = ();
    type Failure = Failure;

    async fn run(self, worker: &mut Worker, scope: CallScope<'_>) -> Result<(), Failure> {
        let Self { guest, invoke, secure, request, sender } = self;
        let (request, _loan) = lent(request);
        guest.lend(&mut worker.instance, invoke, &scope);
        let handling = worker.instance.handle(secure, request, sender, scope.deadline.at);
        crisol_wasi::with_call(scope.context.id(), pin!(handling)).await
    }
}

/// Lends the request's body to the guest until the call ends. A request without a body is passed as it is.
fn lent(request: Request<Body>) -> (Request<Body>, Option<Loan>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (parts, body) = request.into_parts();
    let (body, loan) = lend(body);
    (Request::from_parts(parts, Body::stream(body)), Some(loan))
}
