//! Tracks the position in the byte stream of an HTTP/1.1 connection, to tell which bytes of a request target must be
//! percent-encoded before the parser sees them.

use crate::chunks::ChunkParser;

/// Position of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Before a request; empty lines may come first.
    Before,
    Method,
    Path,
    Query,
    /// In a line, after its relevant part.
    Line,
    /// At the beginning of a line.
    LineStart,
    /// After the first carriage return of a line.
    LineEnd,
    /// After a head whose request has not begun.
    Behind,
    /// In a body with this many bytes left.
    Body(u64),
    Chunked(ChunkParser),
    /// Unknown. Nothing is changed any more.
    Lost,
}

impl Position {
    /// Position of a byte in a head, from the position of the byte before it; `Behind` after the head's last byte.
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

    /// True if a byte is accepted here that the parser would refuse.
    pub(super) fn encodes(self, byte: u8) -> bool {
        match self {
            Self::Path => matches!(byte, b'<' | b'>' | b'`'),
            Self::Query => matches!(byte, b'<' | b'>' | b'"'),
            _ => false,
        }
    }

    /// Position after a head, by the length of its body; `None` for a chunked body.
    pub(super) fn behind(body: Option<u64>) -> Self {
        match body {
            Some(0) => Self::Before,
            Some(length) => Self::Body(length),
            None => Self::Chunked(ChunkParser::default()),
        }
    }
}
