//! Request targets of HTTP/1.1 on their way in: characters that a target may not have are percent-encoded.
//!
//! Old clients, and curl, send them as they are; the parser behind would refuse the request. Only bytes that
//! are known to be a request line are changed, or bodies would be: where the next head begins follows from the
//! head before and the length that the parser found its body to have.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use memchr::memchr;
use tokio::io::ReadBuf;

/// A body of unknown length.
const UNKNOWN: u64 = u64::MAX;

/// What the parser has found on a connection so far. Written and read by the connection's own task.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    requests: AtomicU64,
    body: AtomicU64,
}

impl Framing {
    /// Notes that a head was parsed, and the length of the body behind it, if that is known.
    pub(crate) fn begin(&self, body: Option<u64>) {
        self.body.store(body.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Place of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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
    /// Behind the head.
    Body,
    /// Somewhere. Nothing is changed any more.
    Lost,
}

impl Place {
    /// Place of a byte by that of the byte before it; `Body` behind the head's last byte.
    fn of(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Before, b'\r' | b'\n') => Self::Before,
            (Self::Before, _) => Self::Method,
            (Self::LineStart | Self::LineEnd, b'\n') => Self::Body,
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
    fn encodes(self, byte: u8) -> bool {
        match self {
            Self::Path => matches!(byte, b'<' | b'>' | b'`'),
            Self::Query => matches!(byte, b'<' | b'>' | b'"'),
            _ => false,
        }
    }
}

/// The heads that a connection receives, and the bytes of them that had no room where they were read to.
#[derive(Debug)]
pub(crate) struct Targets {
    place: Place,
    /// Requests that have begun.
    requests: u64,
    /// Bytes that came behind a head whose request has not begun.
    behind: u64,
    /// Bytes that are missing of a body, once its request has begun.
    missing: Option<u64>,
    rest: Bytes,
}

impl Targets {
    pub(crate) fn new() -> Self {
        Self { place: Place::Before, requests: 0, behind: 0, missing: None, rest: Bytes::new() }
    }

    /// Hands out bytes that had no room before. Returns whether there were any.
    pub(crate) fn read(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(self.rest.get(..length).unwrap_or_default());
        self.rest.advance(length);
        length > 0
    }

    /// Encodes what has been read to a buffer behind `start`. Returns how many bytes that is then, with those
    /// that have no room yet.
    pub(crate) fn pass(
        &mut self,
        framing: &Framing,
        buffer: &mut ReadBuf<'_>,
        start: usize,
    ) -> usize {
        self.catch_up(framing);
        let fresh = buffer.filled().get(start..).unwrap_or_default();
        if let Some(encoded) = self.encode(fresh) {
            self.rest = encoded.into();
            buffer.set_filled(start);
            self.read(buffer);
        }
        buffer.filled().len() - start + self.rest.len()
    }

    /// Learns where the present request ends, if it has begun since the last read.
    fn catch_up(&mut self, framing: &Framing) {
        let requests = framing.requests.load(Ordering::Relaxed);
        if requests == self.requests {
            return;
        }
        let next = requests == self.requests.wrapping_add(1) && self.place == Place::Body;
        self.requests = requests;
        let body = framing.body.load(Ordering::Relaxed);
        let missing = body.checked_sub(self.behind).filter(|_| next && body != UNKNOWN);
        match missing {
            Some(missing) => self.lacks(missing),
            // Some of the next request was read together with this one, or the body is chunked.
            None => self.place = Place::Lost,
        }
    }

    /// So much is missing of a body; behind it another request begins.
    fn lacks(&mut self, missing: u64) {
        self.missing = Some(missing);
        if missing == 0 {
            (self.place, self.behind, self.missing) = (Place::Before, 0, None);
        }
    }

    /// Takes bytes behind a head. Returns how many of them are not the next one's.
    fn body(&mut self, length: usize) -> usize {
        match self.missing {
            None => {
                self.behind += length as u64;
                length
            }
            Some(missing) => {
                let taken = usize::try_from(missing).map_or(length, |missing| missing.min(length));
                self.lacks(missing - taken as u64);
                taken
            }
        }
    }

    /// The bytes encoded, if any of them has to be.
    fn encode(&mut self, fresh: &[u8]) -> Option<Vec<u8>> {
        let (mut encoded, mut copied, mut at) = (Vec::new(), 0, 0);
        while let Some((&byte, _)) = fresh.get(at..).and_then(<[u8]>::split_first) {
            let rest = fresh.get(at..).unwrap_or_default();
            match self.place {
                Place::Lost => break,
                Place::Body => at += self.body(rest.len()),
                Place::Line => match memchr(b'\n', rest) {
                    Some(end) => {
                        self.place = Place::LineStart;
                        at += end + 1;
                    }
                    None => break,
                },
                place => {
                    self.place = place.of(byte);
                    if self.place.encodes(byte) {
                        encoded.extend(fresh.get(copied..at).unwrap_or_default());
                        encoded.extend(format!("%{byte:02X}").into_bytes());
                        copied = at + 1;
                    }
                    at += 1;
                }
            }
        }
        (copied > 0).then(|| {
            encoded.extend(fresh.get(copied..).unwrap_or_default());
            encoded
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection: what is read goes to buffers of `room` bytes, and is kept.
    struct Read {
        targets: Targets,
        framing: Framing,
        room: usize,
        all: Vec<u8>,
    }

    impl Read {
        fn new(room: usize) -> Self {
            let (targets, framing) = (Targets::new(), Framing::default());
            Self { targets, framing, room, all: Vec::new() }
        }

        fn read(&mut self, bytes: &[u8]) {
            for piece in bytes.chunks(self.room) {
                let mut memory = vec![0; self.room];
                let mut buffer = ReadBuf::new(&mut memory);
                buffer.put_slice(piece);
                let passed = self.targets.pass(&self.framing, &mut buffer, 0);
                let before = self.all.len();
                self.all.extend(buffer.filled());
                loop {
                    buffer.clear();
                    if !self.targets.read(&mut buffer) {
                        break;
                    }
                    self.all.extend(buffer.filled());
                }
                assert_eq!(self.all.len() - before, passed);
            }
        }

        #[track_caller]
        fn check(&mut self, bytes: &[u8], expected: &[u8]) {
            self.all.clear();
            self.read(bytes);
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(shown(&self.all), shown(expected), "of {:?}", shown(bytes));
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
                assert_eq!(it.all.escape_ascii().to_string(), expected.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn a_target_is_encoded_and_nothing_else_is() {
        check(
            b"GET /a<b>`\"{|}^\\?q=\"<>`{|}^\\?\"&%22 HTTP/1.1\r\nx: <\"`>\r\n\r\nGET /?<\"> a",
            b"GET /a%3Cb%3E%60\"{|}^\\?q=%22%3C%3E`{|}^\\?%22&%22 HTTP/1.1\r\nx: <\"`>\r\n\r\nGET /?<\"> a",
        );
        check(b"\r\n\nG<T /<\n?<\r\n<", b"\r\n\nG<T /%3C\n?<\r\n<");
        check(b"GET /a? <> <\r\n\r\n", b"GET /a? <> <\r\n\r\n");
        check(b"GET http://a/?\xe9\" HTTP/1.0\n\n", b"GET http://a/?\xe9%22 HTTP/1.0\n\n");
        check(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0 /?\"",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0 /?\"",
        );
    }

    #[test]
    fn the_next_head_begins_behind_the_body() {
        let (head, encoded) = (b"GET /?\" \r\nx:<\r\n\r\n", b"GET /?%22 \r\nx:<\r\n\r\n");
        let mut it = Read::new(1000);
        it.check(head, encoded);
        it.framing.begin(Some(0));
        it.check(head, encoded);
        it.framing.begin(Some(20));
        it.check(b"GET /?\" H", b"GET /?\" H");
        // The end of the body, and a request behind it that is sent before its turn.
        it.check(b"TTP 1.1\r\n\r\nGET /?\"", b"TTP 1.1\r\n\r\nGET /?%22");
        it.check(b"\" \r\n\r\n", b"%22 \r\n\r\n");
        it.framing.begin(Some(0));
        it.check(head, encoded);
    }

    #[test]
    fn a_body_that_came_with_its_head_is_counted() {
        let mut it = Read::new(1000);
        it.check(b"P /\" \n\n/ <", b"P /\" \n\n/ <");
        it.framing.begin(Some(5));
        it.check(b"/?GET /?\"", b"/?GET /?%22");
    }

    #[test]
    fn where_nothing_is_certain_nothing_is_changed() {
        let head = b"GET /?\" \r\n\r\n";
        for (behind, body) in [(&b"GET /?\" "[..], Some(0)), (b"", None), (b"1234", Some(3))] {
            let mut it = Read::new(1000);
            it.check(b"GET / \r\n\r\n", b"GET / \r\n\r\n");
            it.check(behind, behind);
            it.framing.begin(body);
            it.check(head, head);
            it.framing.begin(Some(0));
            it.check(head, head);
        }
        let mut twice = Read::new(1000);
        twice.check(b"GET / \r\n\r\n", b"GET / \r\n\r\n");
        twice.framing.begin(Some(0));
        twice.framing.begin(Some(0));
        twice.check(head, head);
        let mut early = Read::new(1000);
        early.check(b"GET / \r\n", b"GET / \r\n");
        early.framing.begin(Some(0));
        early.check(head, head);
    }

    /// Takes a stream apart as the parser does: targets and bodies. Tells `framing` of each head.
    #[derive(Default)]
    struct Parser {
        at: usize,
        heads: usize,
        bodies: Vec<Vec<u8>>,
    }

    impl Parser {
        fn parse(&mut self, all: &[u8], framing: &Framing) {
            loop {
                let fresh = &all[self.at..];
                let Some(end) = fresh.windows(4).position(|part| part == b"\r\n\r\n") else {
                    return;
                };
                let head = String::from_utf8_lossy(&fresh[..end]).into_owned();
                let length: usize = head.rsplit(' ').next().unwrap().parse().unwrap();
                if self.heads == self.bodies.len() {
                    self.heads += 1;
                    let known = !head.contains("chunked");
                    framing.begin(known.then_some(length as u64));
                }
                let Some(body) = fresh.get(end + 4..end + 4 + length) else { return };
                self.bodies.push(body.to_vec());
                self.at += end + 4 + length;
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_ever_changed(
            requests in proptest::collection::vec(("[/?<\" a]{0,6}", "[/?<\"\r\n GET]{0,12}", 0..9), 1..6),
            cuts in proptest::collection::vec(1..30_usize, 1..40),
        ) {
            let mut stream = Vec::new();
            for (target, body, kind) in &requests {
                let chunked = if *kind == 0 { "chunked" } else { "" };
                let head = format!("GET /{target} HTTP/1.1\r\nx: {chunked} {}\r\n\r\n", body.len());
                stream.extend(head.bytes().chain(body.bytes()));
            }
            let (mut it, mut parser) = (Read::new(1000), Parser::default());
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at(rest.len().min(*cut));
                it.read(piece);
                parser.parse(&it.all, &it.framing);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            let bodies: Vec<_> = requests.iter().map(|(_, body, _)| body.as_bytes().to_vec()).collect();
            proptest::prop_assert_eq!(parser.bodies, bodies);
        }
    }
}
