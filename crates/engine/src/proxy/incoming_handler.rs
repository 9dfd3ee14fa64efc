//! `wasi:http/incoming-handler` of WASI 0.2: the guest sets its response through a handle during the call, and
//! returns once it has written the whole body.

use bytes::Bytes;
use http::HeaderValue;
use http::header::HOST;
use http_body::Body;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Func, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error as HttpError, WasiHttpView};

use super::{ProxyAnswer, ProxyBody, ProxyError};
use crate::host::Host;

type Params = (Resource<HostIncomingRequest>, Resource<HostResponseOutparam>);

/// Handles one request.
pub(super) async fn run<B>(
    func: &Func,
    store: &mut Store<Host>,
    secure: bool,
    mut request: http::Request<B>,
    answer: oneshot::Sender<ProxyAnswer>,
) -> wasmtime::Result<()>
where
    B: Body<Data = Bytes, Error = HttpError> + Send + 'static,
{
    if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
        // An HTTP/1.0 client may omit `host`; `authority` then returns an empty one.
        request.headers_mut().insert(HOST, HeaderValue::from_static(""));
    }
    let scheme = if secure { Scheme::Https } else { Scheme::Http };
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let respond = move |response: Result<http::Response<_>, ErrorCode>| {
        let response = response.map(|response| response.map(ProxyBody::new));
        // The receiver is gone if the client is.
        let _ = answer.send(response.map_err(ProxyError::new));
    };
    let out = http.new_response_outparam_from_callback(respond)?;
    let handle = func.typed::<Params, ()>(&*store)?;
    handle.call_async(store, (request, out)).await
}
