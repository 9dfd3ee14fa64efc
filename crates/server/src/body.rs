//! Body of requests and responses, in memory or streaming.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use crisol_core::BoxError;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::stream_executor::StreamProgress;

/// Body of an incoming request or an outgoing response.
///
/// It carries trailers. An error in it ends the connection (HTTP/1.1) or the stream (HTTP/2).
pub struct Body {
    kind: BodyKind,
    /// Kept until the last byte is sent; see [`Body::holding`].
    _held: Option<Box<dyn Send>>,
    /// Tracks which side waits for the other, on HTTP/2 streams.
    progress: Option<Arc<StreamProgress>>,
}

enum BodyKind {
    Full(Option<Bytes>),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// An empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// A body that is produced while it is sent.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let boxed = body.map_err(Into::into).boxed_unsync();
        Self { kind: BodyKind::Stream(boxed), _held: None, progress: None }
    }

    /// Attaches `held`, which is dropped once the body was sent or abandoned.
    pub(crate) fn holding(mut self, held: Box<dyn Send>) -> Self {
        let held: Box<dyn Send> = match self._held.take() {
            Some(older) => Box::new((older, held)),
            None => held,
        };
        Self { _held: Some(held), ..self }
    }

    /// Attaches `progress`, which records each request for more data and its answer.
    pub(crate) fn reporting_to(self, progress: Option<Arc<StreamProgress>>) -> Self {
        Self { progress, ..self }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self { kind: BodyKind::Full(bytes), _held: None, progress: None }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.kind {
            BodyKind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            BodyKind::Stream(body) => Pin::new(body).poll_frame(cx),
        };
        if let Some(progress) = &self.progress {
            progress.polled(frame.is_ready());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Full(bytes) => bytes.is_none(),
            BodyKind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            BodyKind::Stream(body) => body.size_hint(),
        }
    }
}

/// Error of a body whose client was silent for too long. (A body over the service's limit ends with
/// [`http_body_util::LengthLimitError`].)
#[derive(Debug, thiserror::Error)]
#[error("the client sent no part of the body for {} ms", .within.as_millis())]
pub struct BodyTimeout {
    pub(crate) within: Duration,
}
