//! End of a chunked body (RFC 9112, section 7.1).

use memchr::memchr;

/// Position in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChunkParser {
    /// Before a chunk's size.
    #[default]
    Start,
    Size(u64),
    /// After the digits.
    Extension(u64),
    SizeEnd(u64),
    /// In a chunk with this many bytes left.
    Data(u64),
    DataEnd,
    DataLineEnd,
    /// At the beginning of a line after the last chunk.
    LineStart,
    Trailer,
    TrailerEnd,
    LastLineEnd,
}

/// Result of following bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkScan {
    /// All bytes belong to the body.
    On,
    /// The body ends after this many bytes.
    Over(usize),
    /// The bytes are not valid chunks.
    Broken,
}

impl ChunkParser {
    /// Follows bytes up to the body's end.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> ChunkScan {
        let mut at = 0;
        while let Some((&byte, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) {
            at += 1;
            *self = match (*self, byte) {
                (Self::Start, _) => match digit(byte) {
                    Some(digit) => Self::Size(digit),
                    None => return ChunkScan::Broken,
                },
                (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
                (Self::Size(size), b';' | b' ' | b'\t') => Self::Extension(size),
                (Self::Size(size), _) => match digit(byte).zip(size.checked_mul(16)) {
                    Some((digit, size)) => Self::Size(size | digit),
                    None => return ChunkScan::Broken,
                },
                (Self::Extension(size), byte) if byte != b'\n' => Self::Extension(size),
                (Self::SizeEnd(0), b'\n') => Self::LineStart,
                (Self::SizeEnd(size), b'\n') => Self::Data(size),
                (Self::Data(missing), _) => {
                    let more = usize::try_from(missing - 1).unwrap_or(usize::MAX).min(rest.len());
                    at += more;
                    match missing - 1 - more as u64 {
                        0 => Self::DataEnd,
                        missing => Self::Data(missing),
                    }
                }
                (Self::DataEnd, b'\r') => Self::DataLineEnd,
                (Self::DataLineEnd, b'\n') => Self::Start,
                (Self::LineStart, b'\r') => Self::LastLineEnd,
                (Self::LineStart | Self::Trailer, byte) if byte != b'\r' => {
                    at += memchr(b'\r', rest).unwrap_or(rest.len());
                    Self::Trailer
                }
                (Self::Trailer, _) => Self::TrailerEnd,
                (Self::TrailerEnd, b'\n') => Self::LineStart,
                (Self::LastLineEnd, b'\n') => return ChunkScan::Over(at),
                _ => return ChunkScan::Broken,
            };
        }
        ChunkScan::On
    }
}

/// Value of a hexadecimal digit.
fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: ChunkScan) {
        let mut whole = ChunkParser::default();
        assert_eq!(whole.follow(bytes), expected, "{}", bytes.escape_ascii());
        // The same bytes, one at a time.
        let mut chunks = ChunkParser::default();
        let followed = bytes.iter().enumerate().map(|(at, byte)| match chunks.follow(&[*byte]) {
            ChunkScan::Over(1) => ChunkScan::Over(at + 1),
            other => other,
        });
        let end = followed.into_iter().find(|followed| *followed != ChunkScan::On);
        assert_eq!(end.unwrap_or(ChunkScan::On), expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn a_body_ends_behind_its_trailers() {
        for body in [
            "0\r\n\r\n",
            "5\r\nab\r\nc\r\n0\r\n\r\n",
            "00a\r\n0123456789\r\n000\r\n\r\n",
            "1;x=\"1;\"\r\na\r\n1 \t\r\nb\r\n0;y\r\n\r\n",
            "0\r\na: b\r\nc: d\r\n\r\n",
            "Ff\r\n",
        ] {
            let behind = format!("{body}GET");
            let expected = match body {
                "Ff\r\n" => ChunkScan::On,
                body => ChunkScan::Over(body.len()),
            };
            check(behind.as_bytes(), expected);
            check(body.as_bytes(), expected);
            for cut in 0..body.len() {
                check(&body.as_bytes()[..cut], ChunkScan::On);
            }
        }
    }

    #[test]
    fn malformed_chunks_are_rejected() {
        for body in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "1\na",
            "1;x\na",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\r\r",
            "0\r\n\r\r",
            "0\r\na: b\r\r",
            "10000000000000000\r\n",
            " 1\r\n",
        ] {
            check(body.as_bytes(), ChunkScan::Broken);
        }
    }
}
