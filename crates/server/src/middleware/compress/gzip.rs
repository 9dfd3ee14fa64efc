//! Compression of content while it is sent.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use crisol_core::BoxError;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use crate::body::Body;

/// Bytes compressed before other tasks get a turn.
const PIECE: usize = 64 << 10;
/// Minimum size of a frame of compressed bytes.
const WORTH_SENDING: usize = 4 << 10;
/// Maximum number of frames read ahead: a body may have any number of empty ones.
const FRAMES: usize = 16;

type Next = Option<Result<Frame<Bytes>, BoxError>>;

/// Start of a body that was available without waiting, with the rest.
pub(super) struct BufferedBody {
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
    rest: Option<Body>,
}

/// A body that was read to its end.
pub(super) struct CompleteBody {
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl BufferedBody {
    /// Reads the available frames without waiting, up to `enough` bytes.
    pub(super) async fn read(mut body: Body, enough: usize) -> Self {
        let mut ahead = Self { frames: VecDeque::new(), rest: None };
        let mut bytes = 0;
        while bytes < enough && ahead.frames.len() < FRAMES {
            match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
                Poll::Pending => break,
                Poll::Ready(None) => return ahead,
                Poll::Ready(Some(frame)) => {
                    let last = frame.as_ref().map_or(true, Frame::is_trailers);
                    let data = frame.as_ref().ok().and_then(Frame::data_ref);
                    bytes += data.map_or(0, Bytes::len);
                    ahead.frames.push_back(frame);
                    if last {
                        return ahead;
                    }
                }
            }
        }
        ahead.rest = Some(body);
        ahead
    }

    /// The complete body, if it ended within the frames read.
    pub(super) fn complete(self) -> Result<CompleteBody, Self> {
        if self.rest.is_some() || self.frames.iter().any(Result::is_err) {
            return Err(self);
        }
        let (mut data, mut trailers) = (BytesMut::new(), None);
        for frame in self.frames.into_iter().flatten() {
            match frame.into_data() {
                Ok(more) => data.extend_from_slice(&more),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok(CompleteBody { data: data.freeze(), trailers })
    }
}

impl HttpBody for BufferedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(frame));
        }
        match &mut self.rest {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl CompleteBody {
    /// The content compressed, or `None` if that failed.
    pub(super) fn compressed(&self) -> Option<Bytes> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.data).ok()?;
        encoder.finish().ok().map(Bytes::from)
    }

    /// The body without changes.
    pub(super) fn unchanged(self) -> Body {
        let data = self.data.clone();
        self.with(data)
    }

    /// A body with other content and the same trailers.
    pub(super) fn with(self, data: Bytes) -> Body {
        match self.trailers {
            None => Body::from(data),
            Some(trailers) => {
                let frames = [Frame::data(data), Frame::trailers(trailers)];
                Body::stream(BufferedBody {
                    frames: frames.into_iter().map(Ok).collect(),
                    rest: None,
                })
            }
        }
    }
}

/// A body compressed with gzip. Its trailers are kept.
pub(super) struct Gzip<B> {
    body: B,
    /// `None` once all content has been compressed.
    encoder: Option<GzEncoder<Vec<u8>>>,
    input: Bytes,
    trailers: Option<HeaderMap>,
    /// True to send on the input received so far before waiting for more. Otherwise equal content gives equal
    /// bytes.
    prompt: bool,
    /// True if the encoder holds back input.
    held: bool,
}

impl<B> Gzip<B> {
    pub(super) fn new(body: B, prompt: bool) -> Self {
        let encoder = Some(GzEncoder::new(Vec::new(), Compression::default()));
        Self { body, encoder, input: Bytes::new(), trailers: None, prompt, held: false }
    }

    /// Compresses a piece of the input; returns output if there is enough of it.
    fn compress(&mut self) -> io::Result<Option<Bytes>> {
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        let piece = self.input.split_to(self.input.len().min(PIECE));
        encoder.write_all(&piece)?;
        self.held = true;
        Ok((encoder.get_ref().len() >= WORTH_SENDING).then(|| output(encoder)))
    }

    /// Output while no input arrives.
    fn flush(&mut self) -> io::Result<Option<Bytes>> {
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        if self.prompt && std::mem::take(&mut self.held) {
            encoder.flush()?;
        }
        let output = output(encoder);
        Ok(output.has_remaining().then_some(output))
    }

    /// The last output.
    fn finish(&mut self) -> io::Result<Option<Bytes>> {
        let rest = self.encoder.take().map(GzEncoder::finish).transpose()?;
        Ok(rest.filter(|rest| !rest.is_empty()).map(Bytes::from))
    }
}

fn output(encoder: &mut GzEncoder<Vec<u8>>) -> Bytes {
    Bytes::from(std::mem::take(encoder.get_mut()))
}

impl<B> Gzip<B>
where
    B: HttpBody<Data = Bytes, Error = BoxError> + Unpin,
{
    /// Makes one step: output, a wait, or `Ready(Ok(None))` to continue.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        if !self.input.is_empty() {
            return Poll::Ready(Ok(self.compress()?));
        }
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame.transpose()?,
            Poll::Pending => match self.flush()? {
                Some(output) => return Poll::Ready(Ok(Some(output))),
                None => return Poll::Pending,
            },
        };
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => self.input = data,
            Some(Err(frame)) => {
                self.trailers = frame.into_trailers().ok();
                return Poll::Ready(Ok(self.finish()?));
            }
            None => return Poll::Ready(Ok(self.finish()?)),
        }
        Poll::Ready(Ok(None))
    }
}

impl<B> HttpBody for Gzip<B>
where
    B: HttpBody<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        let this = &mut *self;
        while this.encoder.is_some() {
            match this.step(cx) {
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(output))) => return Poll::Ready(Some(Ok(Frame::data(output)))),
                Poll::Ready(Err(error)) => {
                    this.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
