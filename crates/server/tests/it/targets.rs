//! Request targets, byte by byte: accepted and refused bytes.

use crate::support::{TestResult, raw, service, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ROUTES: &[&str] = &["GET /greet -> greet", "GET /to/{name} -> greet", "POST /echo -> echo"];

/// Sends a request on its own connection; returns status and body.
async fn get(addr: std::net::SocketAddr, target: &[u8]) -> TestResult<(String, String)> {
    let request = [b"GET ", target, b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"].concat();
    let answer = raw(addr, request).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    Ok((head.get(9..12).unwrap_or_default().to_owned(), body.to_owned()))
}

#[tokio::test]
async fn every_visible_byte_is_taken_in_a_query() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for byte in b'!'..=b'~' {
        let expected = match byte {
            b'#' | b'&' => "hola, a".to_owned(),
            b'+' => "hola, a z".to_owned(),
            byte => format!("hola, a{}z", char::from(byte)),
        };
        let target = [b"/greet?name=a", &[byte][..], b"z"].concat();
        assert_eq!(get(started.addr, &target).await?, ("200".to_owned(), expected), "{byte:#x}");
    }
    Ok(())
}

#[tokio::test]
async fn every_visible_byte_is_taken_in_a_path() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for byte in b'!'..=b'~' {
        let target = [b"/to/a", &[byte][..], b"z"].concat();
        let found = get(started.addr, &target).await?;
        let expected = match byte {
            b'/' => {
                assert_eq!(found.0, "404");
                continue;
            }
            b'#' | b'?' => "hola, a".to_owned(),
            byte => format!("hola, a{}z", char::from(byte)),
        };
        assert_eq!(found, ("200".to_owned(), expected), "{byte:#x}");
    }
    Ok(())
}

#[tokio::test]
async fn other_bytes_are_taken_as_utf8() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for text in ["é€😀", "\u{80}"] {
        for place in ["/greet?name=", "/to/"] {
            let found = get(started.addr, format!("{place}{text}").as_bytes()).await?;
            assert_eq!(found, ("200".to_owned(), format!("hola, {text}")));
        }
    }
    for byte in (0x80..=0xff).chain([0, 1, 0x1f, 0x7f]) {
        for place in [&b"/greet?name="[..], b"/to/"] {
            let (status, _) = get(started.addr, &[place, &[byte]].concat()).await?;
            assert_eq!(status, "400", "{byte:#x}");
        }
    }
    Ok(())
}

/// Sends a request in pieces, and reads until its response ends with `end`.
async fn ask(stream: &mut TcpStream, pieces: &[&str], end: &str) -> TestResult {
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await?;
        stream.flush().await?;
    }
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = stream.read_buf(&mut answer).await?;
        assert!(read > 0, "{end}: {}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[tokio::test]
async fn every_target_of_a_connection_is_encoded_and_no_body() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.set_nodelay(true)?;
    let head = " HTTP/1.1\r\nhost: a\r\n";
    for _ in 0..3 {
        let get = format!("GET /greet?name=<\"a\">{head}\r\n");
        ask(&mut stream, &[&get], "hola, <\"a\">").await?;
        let (one, two) = get.split_at(18);
        ask(&mut stream, &[one, two], "hola, <\"a\">").await?;
        let body = "GET /?<\"> HTTP/1.1\r\n";
        let post = format!("POST /echo?\"{head}content-length: {}\r\n\r\n", body.len());
        ask(&mut stream, &[&post, body], body).await?;
        ask(&mut stream, &[&format!("{post}{body}")], body).await?;
        // In chunks, followed by another request.
        let chunked = format!("POST /echo?\"{head}transfer-encoding: chunked\r\n\r\n");
        let chunks = format!("{:x};a\r\n{body}\r\n0\r\nx: <\r\n\r\n", body.len());
        let pair = format!("{chunked}{chunks}{get}");
        ask(&mut stream, &[&pair], "hola, <\"a\">").await?;
        ask(&mut stream, &[&chunked, &chunks, &get], "hola, <\"a\">").await?;
        ask(&mut stream, &[&get.repeat(3), &chunked, &chunks], body).await?;
    }
    Ok(())
}
