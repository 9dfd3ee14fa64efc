//! Boundaries of HTTP/1.1 requests in a connection's bytes (RFC 9112, section 6). Invalid characters in their
//! targets are percent-encoded on the way in.
//!
//! Old clients, and curl, send such characters unencoded, and the parser would refuse the request. Only bytes that
//! are certain to be a request line are changed, so that bodies stay intact. The parser decides on the length of a
//! body: bytes after a head are held back until its request has begun.

mod position;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memchr3};
use tokio::io::ReadBuf;

use crate::chunks::ChunkScan;
use position::Position;

/// Stands for a chunked body, whose length is known only at its end.
const CHUNKED: u64 = u64::MAX;

/// Progress of the parser on a connection. Only the connection's own task uses it.
#[derive(Debug, Default)]
pub(crate) struct ParserState {
    requests: AtomicU64,
    /// Length of the last request's body.
    body: AtomicU64,
    /// Bytes held back after the last head.
    held: AtomicU64,
    ahead: AtomicBool,
}

impl ParserState {
    /// Records a parsed head and the length of its body; `None` for a chunked body.
    pub(crate) fn begin(&self, body: Option<u64>) {
        let held = self.held.load(Ordering::Relaxed);
        // The end of chunks is known only once they are read.
        let ahead = body.map_or(held > 0, |body| held > body);
        self.ahead.store(ahead, Ordering::Relaxed);
        self.body.store(body.unwrap_or(CHUNKED), Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Length of the last request's body; `None` for a chunked body.
    fn body(&self) -> Option<u64> {
        Some(self.body.load(Ordering::Relaxed)).filter(|length| *length != CHUNKED)
    }

    /// True if a part of a request that has not begun may have been read.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ahead(&self, ahead: bool) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

/// Framing of the requests on a connection, with the bytes that the parser has not received yet.
#[derive(Debug)]
pub(crate) struct Framing {
    place: Position,
    /// Requests that have begun.
    requests: u64,
    /// Bytes that did not fit the reader's buffer.
    rest: Bytes,
    /// Bytes after a head, unchanged.
    held: Bytes,
}

impl Framing {
    pub(crate) fn new() -> Self {
        Self { place: Position::Before, requests: 0, rest: Bytes::new(), held: Bytes::new() }
    }

    /// True if a part of a request that has not begun was read.
    pub(crate) fn is_ahead(&self) -> bool {
        let between =
            matches!(self.place, Position::Before | Position::Body(_) | Position::Chunked(_));
        !between || !self.held.is_empty() || !self.rest.is_empty()
    }

    /// Copies stored bytes to the buffer. Returns true if there were any.
    pub(crate) fn read(&mut self, parsed: &ParserState, buffer: &mut ReadBuf<'_>) -> bool {
        if self.rest.is_empty() {
            self.catch_up(parsed);
            if self.held.is_empty() {
                return false;
            }
            let mut held = std::mem::take(&mut self.held);
            let (end, encoded) = self.scan(&held);
            let plain = held.split_to(end);
            self.rest = encoded.map_or(plain, Bytes::from);
            self.hold(parsed, held);
        }
        self.hand_out(buffer);
        true
    }

    /// Follows the bytes that were read into a buffer after `start`, encodes those that need it, and stores those
    /// after a head.
    pub(crate) fn pass(&mut self, parsed: &ParserState, buffer: &mut ReadBuf<'_>, start: usize) {
        let fresh = buffer.filled().get(start..).unwrap_or_default();
        let (end, encoded) = self.scan(fresh);
        let length = fresh.len();
        if end < length {
            let held = Bytes::copy_from_slice(fresh.get(end..).unwrap_or_default());
            self.hold(parsed, held);
        }
        match encoded {
            Some(encoded) => {
                self.rest = encoded.into();
                buffer.set_filled(start);
                self.hand_out(buffer);
            }
            None => buffer.set_filled(start + end),
        }
    }

    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(length));
    }

    fn hold(&mut self, parsed: &ParserState, held: Bytes) {
        parsed.held.store(held.len() as u64, Ordering::Relaxed);
        self.held = held;
    }

    /// Learns the end of the current request, which has begun since the last read.
    fn catch_up(&mut self, parsed: &ParserState) {
        let requests = parsed.requests.load(Ordering::Relaxed);
        let begun = requests.wrapping_sub(self.requests);
        self.requests = requests;
        self.place = match (self.place, begun) {
            (Position::Behind, 1) => Position::behind(parsed.body()),
            // The parser found another end of the head.
            (Position::Behind, _) | (_, 1..) => Position::Lost,
            (place, 0) => place,
        };
    }

    /// Follows bytes up to the end of a head. Returns that end, and the encoded form of the bytes before it if any
    /// of them needs encoding.
    fn scan(&mut self, fresh: &[u8]) -> (usize, Option<Vec<u8>>) {
        let (mut encoded, mut copied, mut at) = (Vec::new(), 0, 0);
        while let Some((&byte, _)) = fresh.get(at..).and_then(<[u8]>::split_first) {
            let rest = fresh.get(at..).unwrap_or_default();
            match &mut self.place {
                Position::Behind => break,
                Position::Lost => at = fresh.len(),
                Position::Line => at += self.line(rest),
                Position::Body(missing) => {
                    let taken = usize::try_from(*missing).unwrap_or(usize::MAX).min(rest.len());
                    *missing -= taken as u64;
                    if *missing == 0 {
                        self.place = Position::Before;
                    }
                    at += taken;
                }
                Position::Chunked(chunks) => {
                    let (end, place) = match chunks.follow(rest) {
                        ChunkScan::On => (rest.len(), self.place),
                        ChunkScan::Over(end) => (end, Position::Before),
                        ChunkScan::Broken => (rest.len(), Position::Lost),
                    };
                    (at, self.place) = (at + end, place);
                }
                Position::Before if is_plain_line(rest) => at += self.line(rest),
                place => {
                    *place = place.of(byte);
                    if place.encodes(byte) {
                        encoded.extend(fresh.get(copied..at).unwrap_or_default());
                        encoded.extend(format!("%{byte:02X}").into_bytes());
                        copied = at + 1;
                    }
                    at += 1;
                }
            }
        }
        let encoded = (copied > 0).then(|| {
            encoded.extend(fresh.get(copied..at).unwrap_or_default());
            encoded
        });
        (at, encoded)
    }

    /// Skips the rest of a line, and whole lines after it. Returns the number of bytes skipped.
    fn line(&mut self, rest: &[u8]) -> usize {
        for end in memchr_iter(b'\n', rest) {
            if matches!(rest.get(end + 1), None | Some(b'\r' | b'\n')) {
                self.place = Position::LineStart;
                return end + 1;
            }
        }
        self.place = Position::Line;
        rest.len()
    }
}

/// True if bytes begin with a complete request line that needs no encoding.
fn is_plain_line(bytes: &[u8]) -> bool {
    let begins = !matches!(bytes.first(), None | Some(b'\r' | b'\n'));
    let line = memchr(b'\n', if begins { bytes } else { &[] }).and_then(|end| bytes.get(..end));
    line.is_some_and(|line| memchr3(b'<', b'>', b'"', line).or(memchr(b'`', line)).is_none())
}

#[cfg(test)]
mod tests {
    use std::iter::Peekable;

    use super::*;

    /// A connection that reads into buffers of `room` bytes, and keeps all bytes read.
    struct Read {
        framing: Framing,
        parsed: ParserState,
        room: usize,
        all: Vec<u8>,
    }

    impl Read {
        fn new(room: usize) -> Self {
            let (framing, parsed) = (Framing::new(), ParserState::default());
            Self { framing, parsed, room, all: Vec::new() }
        }

        /// Asks for more bytes once. Returns true if there were any.
        fn read_again(&mut self) -> bool {
            let mut memory = vec![0; self.room];
            let mut buffer = ReadBuf::new(&mut memory);
            let more = self.framing.read(&self.parsed, &mut buffer);
            self.all.extend(buffer.filled());
            more
        }

        fn read(&mut self, bytes: &[u8]) {
            for piece in bytes.chunks(self.room) {
                while self.read_again() {}
                self.pass(piece);
            }
        }

        fn pass(&mut self, piece: &[u8]) {
            let mut memory = vec![0; self.room];
            let mut buffer = ReadBuf::new(&mut memory);
            buffer.put_slice(piece);
            self.framing.pass(&self.parsed, &mut buffer, 0);
            self.all.extend(buffer.filled());
        }

        /// Begins a request, and reads the bytes held back after it.
        fn begin(&mut self, body: Option<u64>) {
            self.parsed.begin(body);
            while self.read_again() && self.framing.place != Position::Behind {}
        }

        #[track_caller]
        fn check(&mut self, bytes: &[u8], expected: &[u8]) {
            self.all.clear();
            self.read(bytes);
            self.check_read(expected);
        }

        #[track_caller]
        fn check_read(&mut self, expected: &[u8]) {
            assert_eq!(self.all.escape_ascii().to_string(), expected.escape_ascii().to_string());
            self.all.clear();
        }
    }

    #[track_caller]
    fn check(head: &[u8], expected: &[u8]) {
        for cut in 0..head.len() {
            let (one, two) = head.split_at(cut);
            for room in [1, 2, 3, 7, 1000] {
                let mut it = Read::new(room);
                it.read(one);
                it.read(two);
                while !it.framing.rest.is_empty() {
                    it.read_again();
                }
                it.check_read(expected);
            }
        }
    }

    #[test]
    fn a_target_is_encoded_and_nothing_else_is() {
        check(
            b"GET /a<b>`\"{|}^\\?q=\"<>`{|}^\\?\"&%22 HTTP/1.1\r\nx: <\"`>\r\n\r\n",
            b"GET /a%3Cb%3E%60\"{|}^\\?q=%22%3C%3E`{|}^\\?%22&%22 HTTP/1.1\r\nx: <\"`>\r\n\r\n",
        );
        check(b"\r\n\nG<T /<\n?<\r\n", b"\r\n\nG<T /%3C\n?<\r\n");
        check(b"GET /a? <> <\r\n\r\n", b"GET /a? <> <\r\n\r\n");
        check(b"GET http://a/?\xe9\" HTTP/1.0\n\n", b"GET http://a/?\xe9%22 HTTP/1.0\n\n");
    }

    #[test]
    fn the_next_head_begins_behind_the_body() {
        let (head, encoded) = (b"GET /?\" \r\nx:<\r\n\r\n", b"GET /?%22 \r\nx:<\r\n\r\n");
        let mut it = Read::new(1000);
        it.check(head, encoded);
        it.begin(Some(0));
        it.check(head, encoded);
        it.begin(Some(20));
        it.check(b"GET /?\" H", b"GET /?\" H");
        // The end of the body, followed by a pipelined request.
        it.check(b"TTP 1.1\r\n\r\nGET /?\"", b"TTP 1.1\r\n\r\nGET /?%22");
        it.check(b"\" \r\n\r\n", b"%22 \r\n\r\n");
        it.begin(None);
        it.check(b"5\r\nGET /\r\n0\r\n\r\n", b"5\r\nGET /\r\n0\r\n\r\n");
        it.check(head, encoded);
    }

    #[test]
    fn bytes_after_a_head_wait_for_its_request() {
        let mut it = Read::new(1000);
        it.check(b"P /< \n\n/?GET /?\" \n\nGET /<", b"P /%3C \n\n");
        it.begin(Some(2));
        it.check_read(b"/?GET /?%22 \n\n");
        it.begin(Some(0));
        it.check_read(b"GET /%3C");
    }

    #[test]
    fn pipelined_request_is_detected() {
        for (body, held, is_ahead) in [
            (Some(0), &b""[..], false),
            (Some(3), b"", false),
            (Some(3), b"abc", false),
            (Some(3), b"abcG", true),
            (Some(0), b"G", true),
            (None, b"", false),
            (None, b"0\r\n\r\n", false),
            (None, b"0\r\n\r\nG", true),
            (None, b"1\r\n", false),
        ] {
            let mut it = Read::new(1000);
            it.read(&[b"GET / \r\n\r\n", held].concat());
            assert!(it.framing.is_ahead());
            it.parsed.begin(body);
            let known = body.is_some() || held.is_empty();
            assert_eq!(it.parsed.is_ahead(), is_ahead || !known, "{body:?} {held:?}");
            while it.read_again() {}
            assert_eq!(it.framing.is_ahead(), is_ahead, "{body:?} {held:?}");
        }
    }

    #[test]
    fn uncertain_bytes_are_not_changed() {
        let head = b"GET /?\" \r\n\r\n";
        let plain = b"GET / \r\n\r\n";
        let begun = |before: &[u8], requests: usize| {
            let mut it = Read::new(1000);
            it.check(before, before);
            for _ in 0..requests {
                it.parsed.begin(Some(0));
            }
            it
        };
        // Two requests for one head, one before the first head, and bytes that are not chunks.
        for mut it in [begun(plain, 2), begun(b"GET / \r\n", 1), begun(b"", 1)] {
            it.check(head, head);
            it.begin(Some(0));
            it.check(head, head);
        }
        let mut broken = begun(plain, 0);
        broken.begin(None);
        broken.check(b"x\r\n\r\n", b"x\r\n\r\n");
        broken.check(head, head);
        // The parser asks for more although the head has ended.
        let mut more = begun(plain, 0);
        assert!(!more.read_again());
        more.check(head, head);
    }

    /// Acts as the parser: parses each head as soon as it is complete.
    fn follow(it: &mut Read, heads: &mut Peekable<impl Iterator<Item = (usize, Option<u64>)>>) {
        loop {
            while let Some((_, body)) = heads.next_if(|(end, _)| it.all.len() >= *end) {
                it.parsed.begin(body);
            }
            if !it.read_again() {
                return;
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn every_target_is_encoded_and_no_body_is_changed(
            requests in proptest::collection::vec(("[/?<\" a]{0,6}", "[/?<\"\r\n GET]{0,12}", 0..3), 1..6),
            cuts in proptest::collection::vec(1..30_usize, 1..40),
            room in 1..50_usize,
        ) {
            let (mut stream, mut expected, mut heads) = (Vec::new(), Vec::new(), Vec::new());
            for (target, body, kind) in &requests {
                let size = body.len();
                let chunk = if size > 0 { format!("{size:x}\r\n{body}\r\n") } else { String::new() };
                let chunked = format!("{chunk}0\r\nx: <\r\n\r\n");
                let (body, length) = match (kind, body.len()) {
                    (0, _) => (chunked.as_str(), None),
                    (_, length) => (body.as_str(), Some(length as u64)),
                };
                stream.extend(format!("GET /?{target} HTTP/1.1\r\nx: <\r\n\r\n{body}").into_bytes());
                // The target ends at its first space.
                let (target, rest) = target.split_once(' ').map_or((target.as_str(), None), |(target, rest)| (target, Some(rest)));
                let target = target.replace('<', "%3C").replace('"', "%22");
                let rest = rest.map(|rest| format!(" {rest}")).unwrap_or_default();
                expected.extend(format!("GET /?{target}{rest} HTTP/1.1\r\nx: <\r\n\r\n").into_bytes());
                heads.push((expected.len(), length));
                expected.extend(body.as_bytes());
            }
            let (mut it, mut heads) = (Read::new(room), heads.into_iter().peekable());
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let length = cuts.next().unwrap_or(1).min(room).min(rest.len());
                let (piece, more) = rest.split_at(length);
                it.pass(piece);
                follow(&mut it, &mut heads);
                rest = more;
            }
            proptest::prop_assert_eq!(it.all.escape_ascii().to_string(), expected.escape_ascii().to_string());
            proptest::prop_assert!(!it.framing.is_ahead());
        }
    }
}
