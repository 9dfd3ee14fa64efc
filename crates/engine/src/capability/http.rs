//! Outgoing HTTP, and the types of requests and responses. The settings of an entry are its
//! [`OutgoingHttp`](crate::OutgoingHttp); without them every request is refused.

use std::borrow::Cow;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::Error as HttpError;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use super::Capability;
use super::wasi::{FAMILY, WASI_0_2, WASI_0_3};
use crate::config::VariantKey;
use crate::host::Host;
use crate::outgoing::of_hyper;
use crate::releases::{Release, denied};

static RELEASES: [Release; 2] = [
    Release {
        family: FAMILY,
        version: Some(WASI_0_2),
        interfaces: Cow::Borrowed(&[
            denied("wasi:http/outgoing-handler"),
            denied("wasi:http/types"),
        ]),
    },
    Release {
        family: FAMILY,
        version: Some(WASI_0_3),
        interfaces: Cow::Borrowed(&[denied("wasi:http/client"), denied("wasi:http/types")]),
    },
];

/// The capability of HTTP. Its state is that of `WasiHttpView` for [`Host`].
pub(super) struct Http;

impl Capability for Http {
    fn releases(&self) -> &[Release] {
        &RELEASES
    }

    fn add_to_linker(&self, linker: &mut Linker<Host>, key: VariantKey) -> wasmtime::Result<()> {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        // Wasmtime's own function never has a code for a failed body.
        linker.allow_shadowing(true);
        linker
            .instance(&format!("wasi:http/types@{WASI_0_2}"))?
            .func_wrap("http-error-code", http_error_code)?;
        linker.allow_shadowing(false);
        if key.concurrent {
            wasmtime_wasi_http::p3::add_to_linker(linker)?;
        }
        Ok(())
    }
}

fn http_error_code(
    mut store: StoreContextMut<'_, Host>,
    (error,): (Resource<wasmtime::Error>,),
) -> wasmtime::Result<(Option<ErrorCode>,)> {
    let error = store.data_mut().table().get(&error)?;
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
