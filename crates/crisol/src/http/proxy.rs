//! Functions that answer HTTP themselves: pooled and limited as all are, run where the request is served.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Wakers, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use crisol_core::{BoxError, CallContext, CallError, Caller, EntryId, Invoke, Reply, Value};
use crisol_engine::ProxyBody;
use crisol_pool::{Ask, Fate, Retired};
use crisol_server::{Body, Context, FailureLog, Handler};
use crisol_transport::{Transport as _, WasiHttp};
use http::{Request, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::lent::{Loan, lend};
use crate::failure::Ended;
use crate::interceptor::{Interceptor, Last, Next};
use crate::pooled::{AnyPool, Pooled, Until};

/// The cause of failures that no client sees, in the log.
const AFTER: &str = "after-response";

/// A function that answers HTTP itself.
pub(crate) struct Proxy(pub(crate) Pooled);

/// A [`Proxy`] as what answers a route.
pub(super) struct ProxyHandler {
    proxy: Arc<Proxy>,
    interceptors: Arc<[Arc<dyn Interceptor>]>,
    /// What the guest calls functions through; none before the routes are served.
    invoke: Option<Arc<dyn Invoke>>,
}

impl ProxyHandler {
    pub(super) fn new(proxy: Arc<Proxy>, interceptors: Arc<[Arc<dyn Interceptor>]>) -> Self {
        Self { proxy, interceptors, invoke: None }
    }
}

/// The guest, running: it is over when it has returned.
type Run = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

#[async_trait]
impl Handler for ProxyHandler {
    fn calling(&self, invoke: &Arc<dyn Invoke>) -> Option<Arc<dyn Handler>> {
        let (proxy, interceptors) = (Arc::clone(&self.proxy), Arc::clone(&self.interceptors));
        Some(Arc::new(Self { proxy, interceptors, invoke: Some(Arc::clone(invoke)) }))
    }

    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let mut call = CallContext::new(Caller::Http);
        if let Some(deadline) = context.deadline() {
            call = call.with_deadline(deadline);
        }
        let id = call.id();
        let answered = if self.interceptors.is_empty() {
            let (invoke, failures) = (self.invoke.clone(), context.failures());
            self.proxy.answer(invoke, &call, (context.secure(), failures), request).await
        } else {
            Box::pin(self.intercepted(call, &context, request)).await
        };
        match answered {
            Ok(response) => response,
            Err(failure) => context.failure(&self.proxy.0.id, id, &failure),
        }
    }
}

impl ProxyHandler {
    /// The response of the guest, or what an interceptor replies in its place.
    async fn intercepted(
        &self,
        call: CallContext,
        context: &Context,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let id = &self.proxy.0.id;
        let exchange = Exchange {
            proxy: &self.proxy,
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
            let inside = problem.inside().unwrap_or("the reply of an interceptor is no response");
            CallError::UnexpectedResult { id: id.clone(), source: inside.to_owned().into() }
        })?;
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// A request and its response, which are streams, on both sides of interceptors.
struct Exchange<'a> {
    proxy: &'a Arc<Proxy>,
    invoke: &'a Option<Arc<dyn Invoke>>,
    context: &'a Context,
    request: Mutex<Option<Request<Body>>>,
    response: Mutex<Option<Response<Body>>>,
}

#[async_trait]
impl Last for Exchange<'_> {
    async fn run(&self, context: CallContext, _: Vec<Value>) -> Result<Reply, CallError> {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(request) = request else {
            let source = "its request is a stream, and an interceptor has sent it already".into();
            return Err(CallError::Internal { id: self.proxy.0.id.clone(), source });
        };
        let outside = (self.context.secure(), self.context.failures());
        let response = self.proxy.answer(self.invoke.clone(), &context, outside, request).await?;
        *self.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        Ok(Reply::new(()))
    }
}

impl Proxy {
    /// Its pool.
    pub(crate) fn pool(&self) -> &dyn AnyPool {
        &*self.0.pool
    }

    async fn answer(
        self: &Arc<Self>,
        invoke: Option<Arc<dyn Invoke>>,
        call: &CallContext,
        (secure, failures): (bool, &FailureLog),
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let guest = &self.0;
        let until = Until::of(guest.max_execution, call);
        let ended = guest.ended(until.limit);
        let environment =
            guest.plan.environment().map_err(|error| ended.by_making(error.into()))?;
        let ask = Ask::new().by(until.deadline.map(Into::into));
        let lease = guest.pool.check_out_shared(ask, |worker| worker.environment == environment);
        let mut lease = lease.await.map_err(|refused| ended.by_refusal(refused, Vec::new()))?;

        let (sender, mut receiver) = oneshot::channel();
        let (this, id) = (Arc::clone(self), call.id());
        let funcs = guest.funcs(|| invoke, call, until);
        let (request, loan) = lent(request);
        let run = async move {
            let _loan = loan;
            let (worker, interruption) = lease.split();
            if let Some(funcs) = funcs {
                worker.instance.lend(funcs);
            }
            let outcome = {
                let running = pin!(worker.instance.handle(secure, request, sender, until.deadline));
                let running = pin!(crisol_wasi::on_behalf_of(id, running));
                interruption.race(running).await
            };
            let Some(outcome) = outcome else {
                lease.give_back(Fate::Retire(Retired::Interrupted));
                return Err(CallError::Interrupted { id: this.0.id.clone() });
            };
            let times = (lease.waited(), lease.making());
            lease.give_back(this.0.callee.fate(&outcome));
            let ended = Ended { queue: times.0, making: times.1, ..this.0.ended(until.limit) };
            outcome.map_err(|failure| ended.by_failure(failure))
        };
        // The lines that the guest logs while its body is read are of this request too.
        let mut run: Run = Box::pin(run.instrument(Span::current()));
        // The answer is given from inside the guest's own turn, so nothing else has to be waited for.
        let (answer, over) = poll_fn(|cx| {
            let over = run.as_mut().poll(cx);
            match (receiver.try_recv(), over) {
                (Ok(answer), over) => Poll::Ready((Some(answer), over)),
                (Err(_), Poll::Ready(over)) => Poll::Ready((None, Poll::Ready(over))),
                (Err(_), Poll::Pending) => Poll::Pending,
            }
        })
        .await;
        let trap = |source: BoxError| CallError::Trap { id: guest.id.clone(), source };
        match (answer, over) {
            (_, Poll::Ready(Err(failure))) => Err(failure),
            (Some(Ok(response)), Poll::Ready(Ok(()))) => Ok(response.map(Body::stream)),
            (Some(Ok(response)), Poll::Pending) => {
                let length = content_length(&response);
                Ok(response.map(|body| {
                    let failures = Failures { log: failures.clone(), function: guest.id.clone() };
                    let (run, left) = (Some(run), length);
                    Body::stream(Driven { run, body, left, ended: false, failures })
                }))
            }
            (Some(Err(error)), _) => Err(trap(error.into())),
            (None, _) => Err(trap("the guest returned without a response".into())),
        }
    }
}

/// The request with its body until the call ends; without one there is nothing to take back.
fn lent(request: Request<Body>) -> (Request<Body>, Option<Loan>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (parts, body) = request.into_parts();
    let (body, loan) = lend(body);
    (Request::from_parts(parts, Body::stream(body)), Some(loan))
}

fn content_length(response: &Response<ProxyBody>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Failures of a guest whose response has begun.
#[derive(Clone)]
struct Failures {
    log: FailureLog,
    function: EntryId,
}

impl Failures {
    fn log(&self, cause: &'static str, failure: &CallError, message: &str) {
        if self.log.admits(Some(&self.function), cause) {
            let error = failure as &dyn std::error::Error;
            tracing::error!(function = %self.function, error, "{message}");
        }
    }
}

/// A response's body that a guest is making still: reading it is what lets the guest go on.
struct Driven {
    /// None when the guest has returned.
    run: Option<Run>,
    body: ProxyBody,
    /// What is left of the promised length.
    left: Option<u64>,
    /// Whether the body has come to its end.
    ended: bool,
    failures: Failures,
}

impl Driven {
    /// Lets the guest go on.
    ///
    /// # Errors
    /// When it failed.
    fn go_on(&mut self, cx: &mut Wakers<'_>) -> Result<(), CallError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Poll::Ready(over) = run.as_mut().poll(cx) else { return Ok(()) };
        self.run = None;
        over
    }

    fn poll_body(&mut self, cx: &mut Wakers<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.left = self.left.map(|left| left.saturating_sub(sent));
                self.ended = frame.is_trailers() || self.left == Some(0);
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }
}

impl HttpBody for Driven {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Wakers<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // What is there already goes out first: a guest that then fails has sent it.
        let frame = self.poll_body(cx);
        if frame.is_ready() && !self.ended {
            return frame;
        }
        if let Err(failure) = self.go_on(cx) {
            if self.ended {
                self.failures.log(AFTER, &failure, "it failed after its response");
                return frame;
            }
            self.failures.log("broken-response", &failure, "the response broke off");
            return Poll::Ready(Some(Err(failure.into())));
        }
        if frame.is_ready() { frame } else { self.poll_body(cx) }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A guest whose response is complete may work on until its deadline, as on other servers; one whose
/// client has gone is dropped with it.
impl Drop for Driven {
    fn drop(&mut self) {
        let Some(run) = self.run.take().filter(|_| self.ended) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let failures = self.failures.clone();
            drop(runtime.spawn(async move {
                if let Err(failure) = run.await {
                    failures.log(AFTER, &failure, "it failed after its response");
                }
            }));
        }
    }
}
