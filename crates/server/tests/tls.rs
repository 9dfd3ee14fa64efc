//! TLS: HTTP/2 and HTTP/1.1 by ALPN, and what goes wrong.

mod common;

use std::sync::Arc;

use common::{MINUTE, TestResult, http1, http2, in_minutes, request, rest, seen, service, start};
use crisol_server::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

fn connector(
    certificate: &rcgen::CertifiedKey<rcgen::KeyPair>,
    protocols: &[&[u8]],
) -> TestResult<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone())?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificate() -> TestResult<(rcgen::CertifiedKey<rcgen::KeyPair>, Tls)> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = made.signing_key.serialize_pem();
    let tls = Tls::from_pem(made.cert.pem().as_bytes(), key.as_bytes())?;
    Ok((made, tls))
}

#[tokio::test]
async fn the_client_chooses_the_protocol() -> TestResult {
    let (made, tls) = certificate()?;
    let mut service = service(&["GET /add/{a}/{b} -> add"])?;
    service.tls = Some(tls);
    let started = start(service).await?;
    let name = ServerName::try_from("localhost")?;
    let stream = TcpStream::connect(started.addr).await?;
    let stream = connector(&made, &[b"h2", b"http/1.1"])?.connect(name.clone(), stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut two = http2(stream).await?;
    let response = two.send_request(request("GET https://localhost/add/1/2", "")?).await?;
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(seen(response).await?, (200, "3".to_owned()));
    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        let stream = TcpStream::connect(started.addr).await?;
        let stream = connector(&made, protocols)?.connect(name.clone(), stream).await?;
        let mut one = http1(stream).await?;
        let response = one.send_request(request("GET /add/1/2", "")?).await?;
        assert_eq!(seen(response).await?, (200, "3".to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() -> TestResult {
    let (made, tls) = certificate()?;
    let mut service = service(&["GET /add/{a}/{b} -> add"])?;
    service.tls = Some(tls);
    service.timeouts.read = MINUTE;
    let started = start(service).await?;
    assert_eq!(in_minutes(rest(TcpStream::connect(started.addr).await?)).await?, "");
    let mut plain = TcpStream::connect(started.addr).await?;
    plain.write_all(b"GET /add/1/2 HTTP/1.1\r\n\r\n").await?;
    assert!(!in_minutes(rest(plain)).await?.contains("HTTP/1.1 200"));
    let stream = TcpStream::connect(started.addr).await?;
    let name = ServerName::try_from("localhost")?;
    assert!(connector(&made, &[])?.connect(name, stream).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn an_answer_before_the_body_arrives_over_tls_too() -> TestResult {
    let (made, tls) = certificate()?;
    let mut service = service(&["POST /greet -> greet"])?;
    service.tls = Some(tls);
    service.limits.max_body_bytes = 1 << 20;
    let started = start(service).await?;
    let length = 8 << 20;
    for (path, body) in [("/nope", length), ("/greet", length), ("/nope", 1 << 10)] {
        let stream = TcpStream::connect(started.addr).await?;
        let name = ServerName::try_from("localhost")?;
        let mut stream = connector(&made, &[])?.connect(name, stream).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {body}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'x'; body]).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = if body == length { 413 } else { 404 };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.ends_with('}'), "{path}: {answer}");
    }
    Ok(())
}

#[test]
fn what_is_no_certificate_says_so() -> TestResult {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let text = |cert: &str, key: &str| {
        Tls::from_pem(cert.as_bytes(), key.as_bytes()).err().map(|error| error.to_string())
    };
    assert_eq!(text(&cert, &key), None);
    let none = "the certificate's PEM has no `CERTIFICATE` section";
    assert_eq!(text("", &key).as_deref(), Some(none));
    let other = other.signing_key.serialize_pem();
    // The last 40 bytes are the line with the end and some data.
    let cut = |pem: &str| pem[..pem.len() - 40].to_owned();
    let keys = [
        ("x", "the key's PEM has no `PRIVATE KEY` section"),
        (&cert, "the key's PEM has no `PRIVATE KEY` section"),
        (&other, "the key does not belong to the certificate"),
        (&cut(&key), "the key is cut off: its end is missing"),
        (&without_a_line(&key), "the key is cut off: its end is missing"),
        (
            include_str!("keys/encrypted.pem"),
            "the key is encrypted, and nobody is there to type its passphrase",
        ),
        (
            include_str!("keys/encrypted-ec.pem"),
            "the key is encrypted, and nobody is there to type its passphrase",
        ),
        (include_str!("keys/p521.pem"), "the key is of the curve P-521, which is not supported"),
        (
            include_str!("keys/secp256k1.pem"),
            "the key is of the curve secp256k1, which is not supported",
        ),
        (include_str!("keys/ed448.pem"), "the key is of the curve Ed448, which is not supported"),
        (
            include_str!("keys/rsa1024.pem"),
            "the key is of RSA with another size, which is not supported",
        ),
    ];
    for (key, said) in keys {
        assert_eq!(text(&cert, key).as_deref(), Some(said), "{key}");
    }
    let said = "the certificate is cut off: its end is missing";
    assert_eq!(text(&cut(&cert), &key).as_deref(), Some(said));
    Ok(())
}

/// A PEM text whose last line of data is missing, with its end in place.
fn without_a_line(pem: &str) -> String {
    let mut lines: Vec<_> = pem.lines().collect();
    lines.remove(lines.len() - 2);
    lines.join("\n") + "\n"
}
