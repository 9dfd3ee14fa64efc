//! HTTP/2 clients that cause work and read no responses, with frames written by hand.

use crate::support::{TestResult, ask, service, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /wait` of `a`, as HPACK.
const GET_WAIT: &[u8] = b"\x82\x86\x44\x05/wait\x41\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Writes frames until the server ends the connection; returns whether it did.
async fn is_cut(stream: TcpStream, frames: impl Iterator<Item = Vec<u8>>) -> TestResult<bool> {
    let (mut read, mut write) = stream.into_split();
    let mut answer = Vec::new();
    let reading = read.read_to_end(&mut answer);
    let writing = async {
        for frame in frames {
            if write.write_all(&frame).await.is_err() {
                return true;
            }
        }
        false
    };
    tokio::pin!(reading, writing);
    Ok(tokio::select! {
        _ = &mut reading => true,
        cut = &mut writing => cut,
    })
}

async fn begun(addr: std::net::SocketAddr) -> TestResult<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(PREFACE).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    Ok(stream)
}

#[tokio::test]
async fn rapid_resets_close_the_connection() -> TestResult {
    let started = start(service(&["GET /wait -> wait", "GET /add/{a}/{b} -> add"])?).await?;
    let stream = begun(started.addr).await?;
    let pairs = (0..200_000_u32).map(|n| {
        let id = 2 * n + 1;
        let mut pair = frame(HEADERS, END_STREAM | END_HEADERS, id, GET_WAIT);
        pair.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
        pair
    });
    assert!(is_cut(stream, pairs).await?, "200 000 requests were reset, and nothing was said");
    started.functions.until_waiting(0).await;
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_head_without_end_is_cut() -> TestResult {
    let started = start(service(&["GET /add/{a}/{b} -> add"])?).await?;
    let stream = begun(started.addr).await?;
    let first = frame(HEADERS, END_STREAM, 1, GET_WAIT);
    // A header without indexing, `x: yyy…`, repeated.
    let mut field = b"\x00\x01x\x7f\x81\x7e".to_vec();
    field.extend([b'y'; 16_000]);
    let more = (0..4096).map(|_| frame(CONTINUATION, 0, 1, &field));
    assert!(is_cut(stream, std::iter::once(first).chain(more)).await?, "64 MiB of head were taken");
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}

/// The next frame of a stream: its type, stream and payload.
async fn stream_frame(stream: &mut TcpStream) -> TestResult<(u8, u32, Vec<u8>)> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, _, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        let id = u32::from_be_bytes(id);
        if id > 0 {
            return Ok((kind, id, payload));
        }
    }
}

/// `GET` of a path of `a`, as HPACK.
fn get(path: &[u8]) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap_or(0);
    [b"\x82\x86\x44", &[length][..], path, b"\x41\x01a"].concat()
}

#[tokio::test]
async fn invalid_path_bytes_fail_only_their_stream() -> TestResult {
    let started = start(service(&["GET /add/{a}/{b} -> add"])?).await?;
    let mut stream = begun(started.addr).await?;
    let mut id = 1;
    for path in [&b"/add/1/2?\""[..], b"/add/1/2?<", b"/add/1/2?>", b"/add/1/<", b"/add/1/`"] {
        let both = END_STREAM | END_HEADERS;
        stream.write_all(&frame(HEADERS, both, id, &get(path))).await?;
        let reset = stream_frame(&mut stream).await?;
        assert_eq!(reset, (RST_STREAM, id, 1_u32.to_be_bytes().to_vec()), "{path:?}");
        stream.write_all(&frame(HEADERS, both, id + 2, &get(b"/add/1/2?{|}^\\`"))).await?;
        assert_eq!(stream_frame(&mut stream).await?.0, HEADERS);
        assert_eq!(stream_frame(&mut stream).await?.2, b"3");
        id += 4;
    }
    Ok(())
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() -> TestResult {
    let mut limited = service(&["GET /wait -> wait"])?;
    limited.limits.max_streams = 2;
    let started = start(limited).await?;
    let mut stream = begun(started.addr).await?;
    // The limit applies once the client knows it: the settings are acknowledged first.
    stream.write_all(&frame(SETTINGS, 1, 0, &[])).await?;
    for id in [1, 3, 5] {
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, id, GET_WAIT)).await?;
    }
    let refused = 7_u32.to_be_bytes().to_vec();
    assert_eq!(stream_frame(&mut stream).await?, (RST_STREAM, 5, refused));
    started.functions.until_waiting(2).await;
    Ok(())
}
