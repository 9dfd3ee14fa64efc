//! Errors of failed streams for guests of WASI 0.2. Wasmtime's own functions are replaced, since their error text
//! includes the host's backtrace with build paths if `RUST_BACKTRACE` is set, and their error code of a failed
//! body is always none.

use std::fmt::Write as _;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi_http::Error as HttpError;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::host::Host;
use crate::outgoing::of_hyper;
use crate::releases::definition_of;

type StreamError = wasmtime::Error;

/// Replaces the two functions in a linker that has all of WASI 0.2.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    within(linker, "wasi:io/error@0.2.0")?
        .func_wrap("[method]error.to-debug-string", to_debug_string)?;
    within(linker, "wasi:http/types@0.2.0")?.func_wrap("http-error-code", http_error_code)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn within<'a>(
    linker: &'a mut Linker<Host>,
    interface: &str,
) -> wasmtime::Result<LinkerInstance<'a, Host>> {
    let defined = definition_of(interface);
    linker.instance(defined.as_deref().unwrap_or(interface))
}

fn to_debug_string(
    mut store: StoreContextMut<'_, Host>,
    (error,): (Resource<StreamError>,),
) -> wasmtime::Result<(String,)> {
    let mut text = String::new();
    for (depth, cause) in store.data_mut().stream_error(&error)?.chain().enumerate() {
        let before = if depth == 0 { "" } else { ": " };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}{cause}");
    }
    Ok((text,))
}

fn http_error_code(
    mut store: StoreContextMut<'_, Host>,
    (error,): (Resource<StreamError>,),
) -> wasmtime::Result<(Option<ErrorCode>,)> {
    let error = store.data_mut().stream_error(&error)?;
    Ok((error.downcast_ref::<HttpError>().and_then(code),))
}

/// The error code of a failure while a body is read.
fn code(error: &HttpError) -> Option<ErrorCode> {
    match error {
        HttpError::HttpResponseBodySize(most) => Some(ErrorCode::HttpResponseBodySize(*most)),
        HttpError::HttpRequestBodySize(most) => Some(ErrorCode::HttpRequestBodySize(*most)),
        HttpError::ConnectionReadTimeout => Some(ErrorCode::ConnectionReadTimeout),
        HttpError::Hyper(error) => Some(of_hyper(error)),
        _ => None,
    }
}
