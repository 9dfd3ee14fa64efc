//! The body of a guest's response.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

/// The body of a response, produced by the guest.
pub struct ProxyBody {
    inner: WasiBody,
    /// Senders to notify at its end.
    told: Vec<oneshot::Sender<()>>,
}

/// Delivery of a body: an error if the body is dropped before its end.
pub(super) type Delivery = oneshot::Receiver<()>;

impl ProxyBody {
    pub(super) fn new(inner: WasiBody) -> Self {
        Self { inner, told: Vec::new() }
    }

    /// Returns a receiver that resolves when the body is read to its end, or dropped.
    pub(super) fn delivery(&mut self) -> Delivery {
        let (sender, receiver) = oneshot::channel();
        self.told.push(sender);
        receiver
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => {
                for waiting in self.told.drain(..) {
                    // The receiver may be gone already.
                    let _ = waiting.send(());
                }
            }
            Poll::Ready(Some(Err(_))) => self.told.clear(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
