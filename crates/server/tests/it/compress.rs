//! Compressed responses and their header fields.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Started, TestResult, client, request, service, start};
use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crisol_server::{
    Body, Context, FileOptions, Handler, Middleware, Route, RouteTarget, Router, StaticFiles,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::combinators::Collect;
use tokio::sync::mpsc;
use tokio::time::timeout;

type Field = (&'static str, &'static str);
/// Status, fields and content.
type Case = (u16, Vec<Field>, Vec<u8>);

const GZIP: (&str, &str) = ("accept-encoding", "gzip");

/// Serves a handler with `compress`, at `/c/` and below.
async fn serve(handler: Arc<dyn Handler>) -> TestResult<Started> {
    let (name, pattern) = ("one".to_owned(), "/{path...}".to_owned());
    let routes = vec![Route { name, method: None, pattern, target: RouteTarget::Handler(handler) }];
    let middleware = vec![Middleware::Compress];
    let router = Router { prefix: "/c".to_owned(), routes, middleware, ..Router::default() };
    start(service(&[])?.with_router(router)).await
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The content, decoded.
    fn content(&self) -> TestResult<Vec<u8>> {
        let mut content = Vec::new();
        match self.header("content-encoding") {
            "gzip" => flate2::read::GzDecoder::new(&*self.bytes).read_to_end(&mut content)?,
            _ => (&*self.bytes).read_to_end(&mut content)?,
        };
        Ok(content)
    }
}

async fn ask(started: &Started, line: &str, fields: &[(&'static str, &str)]) -> TestResult<Answer> {
    let mut asked = request(line, "")?;
    for (name, value) in fields {
        asked.headers_mut().append(*name, value.parse()?);
    }
    let response = client(started.addr).await?.send_request(asked).await?;
    let (parts, body) = response.into_parts();
    let collected: Collect<_> = body.collect();
    let bytes = collected.await?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, bytes })
}

/// Responds as scripted and counts its calls; `x-seen` lists the conditions that it received.
#[derive(Default)]
struct Told {
    status: u16,
    fields: Vec<Field>,
    content: Vec<u8>,
    /// True if the length is not known before the content is sent.
    stream: bool,
    calls: AtomicUsize,
}

impl Told {
    fn new(status: u16, fields: &[Field], content: impl Into<Vec<u8>>) -> Self {
        let (fields, content) = (fields.to_vec(), content.into());
        Self { status, fields, content, ..Self::default() }
    }
}

#[async_trait]
impl Handler for Told {
    async fn handle(&self, _context: Context, request: Request<Body>) -> Response<Body> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let content = Bytes::from(self.content.clone());
        let body = if self.stream {
            let pieces: Vec<_> = content.chunks(1000).map(Bytes::copy_from_slice).collect();
            let (sender, receiver) = mpsc::channel(1 + pieces.len());
            for piece in pieces {
                let _ = sender.try_send(Frame::data(piece));
            }
            Body::stream(Frames(receiver))
        } else {
            Body::from(content)
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in &self.fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let named = ["if-match", "if-none-match", "if-range", "range"];
        let seen = named.iter().flat_map(|name| request.headers().get_all(*name));
        let seen: Vec<&[u8]> = seen.map(HeaderValue::as_bytes).collect();
        if let Ok(seen) = HeaderValue::from_bytes(&seen.join(&b" | "[..])) {
            response.headers_mut().insert(HeaderName::from_static("x-seen"), seen);
        }
        response
    }
}

struct Frames(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// Incompressible bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

const TEXT: (&str, &str) = ("content-type", "text/plain");
const TAG: (&str, &str) = ("etag", "\"v\"");

#[tokio::test]
async fn compressible_content_gets_its_own_tag() -> TestResult {
    let tags = [("\"v\"", "\"v:gzip\""), ("W/\"v\"", "W/\"v:gzip\""), ("v", "")];
    for (length, stream) in [(100, false), (5000, false), (500_000, false), (100, true)] {
        for (own, coded) in tags {
            let content = "x".repeat(length);
            let fields = [TEXT, ("etag", own), ("accept-ranges", "bytes")];
            let told = Told { stream, ..Told::new(200, &fields, content.as_str()) };
            let started = serve(Arc::new(told)).await?;
            let answer = ask(&started, "GET /c/", &[GZIP]).await?;
            assert_eq!(answer.header("content-encoding"), "gzip", "{length}");
            assert_eq!(answer.header("etag"), coded);
            assert_eq!(answer.header("vary"), "accept-encoding");
            assert_eq!(answer.header("accept-ranges"), "");
            assert!(answer.bytes.len() < length);
            assert_eq!(answer.content()?, content.as_bytes());
            let plain = ask(&started, "GET /c/", &[]).await?;
            assert_eq!((plain.header("content-encoding"), plain.header("etag")), ("", own));
            assert_eq!(plain.header("vary"), "accept-encoding");
            assert_eq!(plain.bytes, content.as_bytes());
        }
    }
    Ok(())
}

#[tokio::test]
async fn incompressible_content_is_sent_plain() -> TestResult {
    let long = || "x".repeat(5000);
    let cases: Vec<Case> = vec![
        (204, vec![TEXT], Vec::new()),
        (205, vec![TEXT], Vec::new()),
        (304, vec![TEXT], Vec::new()),
        (200, vec![TEXT], Vec::new()),
        (200, vec![TEXT], b"ab".to_vec()),
        (200, vec![TEXT], noise(3000)),
        (404, vec![("content-type", "application/problem+json")], b"{}".to_vec()),
        (206, vec![TEXT, ("content-range", "bytes 0-4999/9000")], long().into()),
        (200, vec![TEXT, ("content-encoding", "br")], long().into()),
        (200, vec![TEXT, ("content-digest", "sha-256=:AAAA:")], long().into()),
        (200, vec![TEXT, ("repr-digest", "sha-256=:AAAA:")], long().into()),
        (200, vec![TEXT, ("cache-control", "no-transform")], long().into()),
        (200, vec![TEXT, ("cache-control", "public, No-Transform")], long().into()),
        (
            200,
            vec![TEXT, ("cache-control", "a"), ("cache-control", "no-transform,b")],
            long().into(),
        ),
        (200, vec![("content-type", "image/png")], long().into()),
        (200, vec![("content-type", "application/gzip")], long().into()),
        (200, vec![("content-type", "font/woff2")], long().into()),
        (200, vec![("content-type", "application/octet-stream")], long().into()),
        (200, vec![("content-type", "text/event-stream")], long().into()),
        (200, vec![], long().into()),
    ];
    for (status, mut fields, content) in cases {
        fields.push(TAG);
        for stream in [false, true] {
            let told = Told { stream, ..Told::new(status, &fields, content.clone()) };
            let started = serve(Arc::new(told)).await?;
            for method in ["GET", "HEAD"] {
                let answer = ask(&started, &format!("{method} /c/"), &[GZIP]).await?;
                let own = fields.iter().find(|(name, _)| *name == "content-encoding");
                let coding = own.map_or("", |(_, coding)| coding);
                assert_eq!(answer.status, status);
                assert_eq!(answer.header("content-encoding"), coding, "{status} {fields:?}");
                assert_eq!(answer.header("etag"), "\"v\"", "{status} {fields:?}");
                assert_eq!(answer.header("vary"), "accept-encoding", "{status} {fields:?}");
                let sent = if method == "HEAD" { &[][..] } else { &content };
                assert_eq!(answer.bytes, sent, "{method} {status} {fields:?}");
            }
        }
    }
    let quoted = [TEXT, ("cache-control", "a=\"b, no-transform\"")];
    let started = serve(Arc::new(Told::new(200, &quoted, long()))).await?;
    let answer = ask(&started, "GET /c/", &[GZIP]).await?;
    assert_eq!(answer.header("content-encoding"), "gzip");
    Ok(())
}

#[tokio::test]
async fn unacceptable_encoding_is_refused_before_the_route() -> TestResult {
    let told = Arc::new(Told::new(200, &[TEXT], "x".repeat(5000)));
    let started = serve(told.clone()).await?;
    for accepted in ["identity;q=0", "*;q=0", "br, *;q=0", "gzip;q=0, identity;q=0"] {
        for method in ["GET", "HEAD", "POST"] {
            let fields = [("accept-encoding", accepted)];
            let answer = ask(&started, &format!("{method} /c/"), &fields).await?;
            assert_eq!(answer.status, 406, "{accepted}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.header("vary"), "accept-encoding");
        }
        let nowhere = ask(&started, "GET /c", &[("accept-encoding", accepted)]).await?;
        assert_eq!(nowhere.status, 404, "{accepted}");
    }
    assert_eq!(told.calls.load(Ordering::Relaxed), 0);
    let only = [("accept-encoding", "gzip, identity;q=0")];
    let answer = ask(&started, "GET /c/", &only).await?;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"));
    let image = [("content-type", "image/png")];
    let started = serve(Arc::new(Told::new(200, &image, "ab"))).await?;
    let answer = ask(&started, "GET /c/", &only).await?;
    assert_eq!((answer.header("content-encoding"), &*answer.content()?), ("gzip", &b"ab"[..]));
    Ok(())
}

#[tokio::test]
async fn a_route_is_asked_about_content_without_a_coding() -> TestResult {
    let started = serve(Arc::new(Told::new(200, &[TEXT, TAG], "x".repeat(5000)))).await?;
    let (gzip, plain) = (true, false);
    for (method, takes, fields, seen) in [
        ("PUT", gzip, &[("if-match", "\"v:gzip\"")][..], "\"v\""),
        ("PUT", plain, &[("if-match", "\"v:gzip\"")], "\"v\""),
        ("PUT", plain, &[("if-match", "W/\"v:gzip\", \"w\"")], "\"v\", \"w\""),
        ("PUT", plain, &[("if-match", "\"v\"")], "\"v\""),
        ("PUT", plain, &[("if-match", "W/\"v\"")], "W/\"v\""),
        ("PUT", plain, &[("if-match", "*")], "*"),
        ("GET", plain, &[("if-match", "\"v:gzip\"")], "\"v:gzip\""),
        ("GET", gzip, &[("if-none-match", "\"a\", \"v:gzip\"")], "\"a\", \"v\""),
        ("GET", plain, &[("if-none-match", "\"v:gzip\"")], "\"v:gzip\""),
        ("GET", gzip, &[("if-match", "\"v:gzip\""), ("range", "bytes=4-")], "\"v\""),
        ("GET", gzip, &[("if-range", "\"v:gzip\""), ("range", "bytes=4-")], ""),
        ("GET", plain, &[("if-range", "\"v:gzip\""), ("range", "bytes=4-")], ""),
        ("GET", gzip, &[("if-range", "\"v\""), ("range", "bytes=4-")], "\"v\" | bytes=4-"),
        ("GET", gzip, &[("if-range", "yesterday"), ("range", "bytes=4-")], ""),
        ("GET", plain, &[("if-range", "yesterday"), ("range", "bytes=4-")], "yesterday | bytes=4-"),
        ("GET", gzip, &[("range", "bytes=4-")], "bytes=4-"),
    ] {
        let mut fields = fields.to_vec();
        fields.extend(takes.then_some(GZIP));
        let answer = ask(&started, &format!("{method} /c/"), &fields).await?;
        assert_eq!(answer.header("x-seen"), seen, "{method} {fields:?}");
    }
    Ok(())
}

/// Serves a folder with a text file of 12 000 bytes, `t.txt`, and one of two bytes, `ab.txt`.
async fn files() -> TestResult<(Started, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("t.txt"), "hello world ".repeat(1000))?;
    std::fs::write(folder.path().join("ab.txt"), "ab")?;
    let dir = Dir::open_ambient_dir(folder.path(), ambient_authority())?;
    let files = StaticFiles::new(Arc::new(dir), FileOptions::default());
    Ok((serve(Arc::new(files)).await?, folder))
}

#[tokio::test]
async fn each_encoding_of_a_file_resumes_by_its_tag() -> TestResult {
    let (started, _folder) = files().await?;
    let whole = "hello world ".repeat(1000);
    let plain = ask(&started, "GET /c/t.txt", &[]).await?;
    let coded = ask(&started, "GET /c/t.txt", &[GZIP]).await?;
    let (tag, gzip) = (plain.header("etag"), coded.header("etag"));
    assert!(!tag.is_empty() && !gzip.is_empty() && tag != gzip, "{tag} {gzip}");
    assert_eq!(coded.content()?, whole.as_bytes());
    let (weak, date) = (format!("W/{gzip}"), plain.header("last-modified"));
    let both = format!("{tag}, {gzip}");
    let part = ("range", "bytes=40-");
    for (fields, status, shown, coding) in [
        (&[GZIP, ("if-none-match", gzip)][..], 304, gzip, ""),
        (&[GZIP, ("if-none-match", &weak)], 304, &weak, ""),
        (&[GZIP, ("if-none-match", tag)], 304, tag, ""),
        (&[GZIP, ("if-none-match", &both)], 304, tag, ""),
        (&[GZIP, ("if-none-match", "\"x:gzip\"")], 200, gzip, "gzip"),
        (&[("if-none-match", gzip)], 200, tag, ""),
        (&[("if-none-match", tag)], 304, tag, ""),
        (&[GZIP, ("if-match", gzip)], 200, gzip, "gzip"),
        (&[GZIP, ("if-match", "\"x:gzip\"")], 412, "", "gzip"),
        (&[("if-match", gzip)], 412, "", ""),
        (&[GZIP, part, ("if-range", gzip)], 200, gzip, "gzip"),
        (&[GZIP, part, ("if-match", gzip)], 200, gzip, "gzip"),
        (&[GZIP, part, ("if-range", date)], 200, gzip, "gzip"),
        (&[part, ("if-range", gzip)], 200, tag, ""),
        (&[GZIP, part, ("if-range", tag)], 206, tag, ""),
        (&[GZIP, part], 206, tag, ""),
        (&[("accept-encoding", "gzip, *;q=0"), part], 200, gzip, "gzip"),
        (&[GZIP, ("range", "bytes=99999-")], 416, "", ""),
    ] {
        let answer = ask(&started, "GET /c/t.txt", fields).await?;
        assert_eq!((answer.status, answer.header("etag")), (status, shown), "{fields:?}");
        assert_eq!(answer.header("content-encoding"), coding, "{fields:?}");
        assert_eq!(answer.header("vary"), "accept-encoding", "{fields:?}");
        match status {
            200 => assert_eq!(answer.content()?, whole.as_bytes(), "{fields:?}"),
            206 => assert_eq!(answer.content()?, &whole.as_bytes()[40..], "{fields:?}"),
            _ => {}
        }
    }
    Ok(())
}

#[tokio::test]
async fn head_matches_get() -> TestResult {
    let (started, _folder) = files().await?;
    for file in ["t.txt", "ab.txt", "nothing.txt"] {
        // With ids of their own, one problem document may gain by compression and the other not.
        const ID: (&str, &str) = ("x-request-id", "same");
        for fields in [&[ID][..], &[ID, GZIP]] {
            let get = ask(&started, &format!("GET /c/{file}"), fields).await?;
            let head = ask(&started, &format!("HEAD /c/{file}"), fields).await?;
            assert_eq!(head.status, get.status);
            for name in ["content-encoding", "content-length", "content-type", "etag", "vary"] {
                if file != "nothing.txt" || name != "content-length" {
                    assert_eq!(head.header(name), get.header(name), "{file} {name} {fields:?}");
                }
            }
        }
    }
    // A route that handles `HEAD` itself announces the length and sends no content.
    let fields = [TEXT, TAG, ("content-length", "5000")];
    let started = serve(Arc::new(Told::new(200, &fields, ""))).await?;
    let head = ask(&started, "HEAD /c/", &[GZIP]).await?;
    assert_eq!((head.header("content-encoding"), head.header("etag")), ("gzip", "\"v:gzip\""));
    assert_eq!(head.header("content-length"), "");
    Ok(())
}

/// Fails a test that waits for a piece in vain.
const BOUND: Duration = Duration::from_secs(60);

/// A body of the frames from a channel.
struct Fed(std::sync::Mutex<Option<mpsc::Receiver<Frame<Bytes>>>>);

#[async_trait]
impl Handler for Fed {
    async fn handle(&self, _context: Context, _request: Request<Body>) -> Response<Body> {
        let frames = self.0.lock().ok().and_then(|mut frames| frames.take());
        let mut response = Response::new(match frames {
            Some(frames) => Body::stream(Frames(frames)),
            None => Body::empty(),
        });
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.insert("etag", HeaderValue::from_static("\"v\""));
        response
    }
}

#[tokio::test]
async fn a_stream_is_sent_piece_by_piece_with_its_trailers() -> TestResult {
    let (pieces, receiver) = mpsc::channel(1);
    let started = serve(Arc::new(Fed(Some(receiver).into()))).await?;
    let stream = tokio::net::TcpStream::connect(started.addr).await?;
    let mut sender = crate::support::http2(stream).await?;
    let mut asked = request("GET http://localhost/c/", "")?;
    asked.headers_mut().insert("accept-encoding", "gzip".parse()?);
    // The head is sent before there is any content.
    let mut response = sender.send_request(asked).await?;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["etag"], "W/\"v:gzip\"");
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    for piece in ["one ", "two ", "three"] {
        pieces.send(Frame::data(Bytes::from(piece))).await?;
        while !decoder.get_ref().ends_with(piece.as_bytes()) {
            let frame = timeout(BOUND, response.frame()).await?.ok_or("the end")??;
            decoder.write_all(&frame.into_data().map_err(|_| "trailers")?)?;
            decoder.flush()?;
        }
    }
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), "3".parse()?)]);
    pieces.send(Frame::trailers(trailers)).await?;
    drop(pieces);
    let rest = response.collect().await?;
    assert_eq!(rest.trailers().ok_or("no trailers")?["x-sum"], "3");
    decoder.write_all(&rest.to_bytes())?;
    assert_eq!(decoder.finish()?, b"one two three");
    Ok(())
}

#[tokio::test]
async fn the_same_content_gives_the_same_bytes() -> TestResult {
    let (started, _folder) = files().await?;
    let first = ask(&started, "GET /c/t.txt", &[GZIP]).await?;
    for _ in 0..5 {
        let again = ask(&started, "GET /c/t.txt", &[GZIP]).await?;
        assert_eq!((&again.bytes, again.header("etag")), (&first.bytes, first.header("etag")));
    }
    Ok(())
}
