//! Body that streams a part of a file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, Take};
use tokio_util::io::poll_read_buf;

/// Bytes per read.
pub(super) const CHUNK: usize = 64 << 10;

/// The announced number of bytes of a file, from its current position.
pub(super) struct FileBody {
    file: Take<File>,
    buffer: BytesMut,
    left: u64,
}

impl FileBody {
    pub(super) fn new(file: std::fs::File, length: u64) -> Self {
        let file = File::from_std(file).take(length);
        Self { file, buffer: BytesMut::new(), left: length }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        this.buffer.reserve(CHUNK);
        match ready!(poll_read_buf(Pin::new(&mut this.file), cx, &mut this.buffer)) {
            // The file was truncated since it was opened, so the announced length cannot be sent.
            Ok(0) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            Ok(count) => {
                this.left = this.left.saturating_sub(count as u64);
                Poll::Ready(Some(Ok(Frame::data(this.buffer.split().freeze()))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
