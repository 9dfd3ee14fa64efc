//! `wasi:http/handler` of WASI 0.3: the guest's asynchronous function returns the response, and continues to
//! produce its body as a task of the instance.
//!
//! The instance's tasks run only while its event loop is polled. The polled future therefore completes when no task
//! is left *and* the body has been read: a guest may have forwarded a host stream (a file, another server's
//! response) as the body, without a task of its own.

use std::future::poll_fn;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http_body::Body;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Accessor, Func, Resource, TypedFunc};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{Error as HttpError, FieldMap, WasiHttpView};

use super::body::Delivery;
use super::{ProxyAnswer, ProxyBody, ProxyError};
use crate::host::Host;

type Params = (Resource<Request>,);
type Outcome = (Result<Resource<Response>, ErrorCode>,);

/// Handles one request.
pub(super) async fn run<B>(
    func: &Func,
    store: &mut Store<Host>,
    secure: bool,
    request: http::Request<B>,
    answer: oneshot::Sender<ProxyAnswer>,
) -> wasmtime::Result<()>
where
    B: Body<Data = Bytes, Error = HttpError> + Send + 'static,
{
    let handle = func.typed::<Params, Outcome>(&*store)?;
    let request = incoming(store.data_mut(), secure, request);
    store
        .run_concurrent(async |accessor| answered(&handle, accessor, request, answer).await)
        .await?
}

async fn answered(
    handle: &TypedFunc<Params, Outcome>,
    accessor: &Accessor<Host>,
    request: Request,
    answer: oneshot::Sender<ProxyAnswer>,
) -> wasmtime::Result<()> {
    let request = accessor.with(|mut store| store.get().http().table.push(request))?;
    let (outcome,) = handle.call_concurrent(accessor, (request,)).await?;
    let delivery = match outcome {
        Ok(response) => {
            let (response, delivery) = outgoing(accessor, response)?;
            // The client may have gone, like with 0.2.
            let _ = answer.send(Ok(response));
            Some(delivery)
        }
        Err(code) => {
            let _ = answer.send(Err(ProxyError::new(code)));
            None
        }
    };
    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
    if let Some(delivery) = delivery {
        // Both outcomes, read and dropped, end the wait.
        let _ = delivery.await;
    }
    Ok(())
}

/// The request as the guest sees it.
fn incoming<B>(host: &mut Host, secure: bool, request: http::Request<B>) -> Request
where
    B: Body<Data = Bytes, Error = HttpError> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    let authority: Option<Authority> = parts.uri.authority().cloned().or_else(header);
    let path = parts.uri.path_and_query().cloned();
    let headers = FieldMap::new_immutable(host.http().hooks, parts.headers);
    // The guest's report on reading the body is not needed here.
    let (request, _) =
        Request::new(parts.method, Some(scheme), authority, path, headers, None, body);
    request
}

/// Converts the guest's response, and returns the delivery of its body.
fn outgoing(
    accessor: &Accessor<Host>,
    response: Resource<Response>,
) -> wasmtime::Result<(http::Response<ProxyBody>, Delivery)> {
    let (tell, told) = oneshot::channel::<Delivery>();
    // Transmission result, for a guest that waits for it.
    let transmitted = async {
        let Ok(delivery) = told.await else { return Err(HttpError::ConnectionTerminated) };
        delivery.await.map_err(|_| HttpError::ConnectionTerminated)
    };
    let response = accessor.with(|mut store| {
        let response = store.get().http().table.delete(response)?;
        response.into_http(&mut store, transmitted)
    })?;
    let mut response = response.map(ProxyBody::new);
    let _ = tell.send(response.body_mut().delivery());
    let delivery = response.body_mut().delivery();
    Ok((response, delivery))
}
