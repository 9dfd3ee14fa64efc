//! Request bodies on loan: a guest has the body until its call ends.
//!
//! An instance that serves more than one call may keep the handle of a request that it has answered. The connection
//! would then wait until that body is read, so the end of the call takes the body back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use crisol_core::BoxError;
use crisol_server::Body;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The body that the guest reads; ends once it is taken back.
pub(super) struct Lent(Arc<Mutex<Option<Body>>>);

/// Guard that takes the body back on drop.
pub(super) struct Loan(Arc<Mutex<Option<Body>>>);

pub(super) fn lend(body: Body) -> (Lent, Loan) {
    let shared = Arc::new(Mutex::new(Some(body)));
    (Lent(Arc::clone(&shared)), Loan(shared))
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match body.as_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
