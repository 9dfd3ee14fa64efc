//! Places in the bytes of a connection of HTTP/1.1.

use crate::chunks::Chunks;

/// Place of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before a request; there may be empty lines.
    Before,
    Method,
    Path,
    Query,
    /// In a line, behind all that matters of it.
    Line,
    /// At the beginning of a line.
    LineStart,
    /// Behind the first carriage return of a line.
    LineEnd,
    /// Behind a head whose request has not begun.
    Behind,
    /// In a body of which so many bytes are missing.
    Body(u64),
    Chunked(Chunks),
    /// Somewhere. Nothing is changed any more.
    Lost,
}

impl Place {
    /// Place of a byte by that of the byte before it, in a head; `Behind` behind the head's last byte.
    pub(super) fn of(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Before, b'\r' | b'\n') => Self::Before,
            (Self::Before, _) => Self::Method,
            (Self::LineStart | Self::LineEnd, b'\n') => Self::Behind,
            (Self::LineStart, b'\r') => Self::LineEnd,
            (_, b'\n') => Self::LineStart,
            (Self::Method, b' ') => Self::Path,
            (Self::Path, b'?') => Self::Query,
            (Self::Path | Self::Query, b' ' | b'\r') | (Self::LineStart | Self::LineEnd, _) => {
                Self::Line
            }
            (place, _) => place,
        }
    }

    /// Whether a byte is taken here that the parser would refuse.
    pub(super) fn encodes(self, byte: u8) -> bool {
        match self {
            Self::Path => matches!(byte, b'<' | b'>' | b'`'),
            Self::Query => matches!(byte, b'<' | b'>' | b'"'),
            _ => false,
        }
    }

    /// Place behind a head, by the length of its body; none of one in chunks.
    pub(super) fn behind(body: Option<u64>) -> Self {
        match body {
            Some(0) => Self::Before,
            Some(length) => Self::Body(length),
            None => Self::Chunked(Chunks::default()),
        }
    }
}
