//! TLS: HTTP/2 and HTTP/1.1 by ALPN, and failures.

use std::sync::Arc;

use crate::support::{
    MINUTE, TestResult, http1, http2, in_minutes, request, rest, seen, service, start,
};
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
fn invalid_certificates_are_refused_with_a_reason() -> TestResult {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let text = |cert: &str, key: &str| {
        Tls::from_pem(cert.as_bytes(), key.as_bytes()).err().map(|error| error.to_string())
    };
    assert_eq!(text(&cert, &key), None);
    let other = other.signing_key.serialize_pem();
    // The last 40 bytes are the end line and some data.
    let cut = |pem: &str| pem[..pem.len() - 40].to_owned();
    let keys = [
        ("x", "the key's PEM has no `PRIVATE KEY` section"),
        (&other, "the key does not match the certificate"),
        (&cut(&key), "the key is truncated: its end is missing"),
        (&without_a_line(&key), "the key is truncated: its end is missing"),
        (include_str!("../keys/encrypted.pem"), "the key is encrypted with a passphrase"),
        (include_str!("../keys/encrypted-ec.pem"), "the key is encrypted with a passphrase"),
        (include_str!("../keys/p521.pem"), "the key is of the curve P-521, which is not supported"),
        (
            include_str!("../keys/secp256k1.pem"),
            "the key is of the curve secp256k1, which is not supported",
        ),
        (
            include_str!("../keys/ed448.pem"),
            "the key is of the curve Ed448, which is not supported",
        ),
        (
            include_str!("../keys/rsa1024.pem"),
            "the key is of RSA with another size, which is not supported",
        ),
    ];
    for (key, said) in keys {
        assert_eq!(text(&cert, key).as_deref(), Some(said), "{key}");
    }
    let said = "the certificate is truncated: its end is missing";
    assert_eq!(text(&cut(&cert), &key).as_deref(), Some(said));
    Ok(())
}

/// PEM text without its last line of data, but with its end line.
fn without_a_line(pem: &str) -> String {
    let mut lines: Vec<_> = pem.lines().collect();
    lines.remove(lines.len() - 2);
    lines.join("\n") + "\n"
}

#[test]
fn mistaken_pem_is_reported_with_a_fix() -> TestResult {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let request = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    let request = request.serialize_request(&made.signing_key)?.pem()?;
    let public = made.signing_key.public_key_pem();
    let open_ssh = key.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY");
    let headless = |pem: &str| pem.split_once('\n').map(|(_, rest)| rest.to_owned());
    let (headless_cert, headless_key) = (headless(&cert), headless(&key));
    let half = key.replace("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIV");
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(key.bytes().flat_map(|b| [b, 0])).collect();
    let pkcs12 = [0x30, 0x82, 1, 4, 2, 1, 3, 0x30];
    let openssl = "convert it to PEM: `openssl";
    let (cert, key) = (cert.as_bytes(), key.as_bytes());
    let none = "the key's PEM has no `PRIVATE KEY` section";
    for (given, said, help) in [
        (&b""[..], "the key is empty", "copy the file again"),
        (b" \n", "the key is empty", "copy the file again"),
        (&made.signing_key.serialize_der(), "the key is DER, not PEM", openssl),
        (&pkcs12, "the key is a PKCS 12 file, not PEM", "`openssl pkcs12 -in FILE -nocerts"),
        (&wide, "the key is UTF-16 text, not PEM", "as UTF-8"),
        (b"tls/key.pem\n", "the key is a file name, not PEM", "`file://`"),
        (
            headless_key.as_deref().unwrap_or_default().as_bytes(),
            "the key is truncated: the line `-----BEGIN …-----` is missing or incomplete",
            "complete file",
        ),
        (
            half.as_bytes(),
            "the key is truncated: the line `-----BEGIN …-----` is missing or incomplete",
            "complete file",
        ),
        (cert, "the key is a certificate", "use the private key"),
        (request.as_bytes(), "the key is a certificate request", "in PEM"),
        (public.as_bytes(), "the key is a public key", "use the private key"),
        (b"ssh-ed25519 AAAA a@b", "the key is a public key", "use the private key"),
        (open_ssh.as_bytes(), "the key is in OpenSSH format", "`ssh-keygen -p -m PKCS8"),
        (b"-----BEGIN X-----\nAA==\n-----END X-----\n", none, "in PEM"),
        (b"some words", none, "in PEM"),
        (&[0xc3, 0x28, 0xff], none, "in PEM"),
    ] {
        let error = Tls::from_pem(cert, given).err().ok_or_else(|| said.to_owned())?;
        assert!(error.is_of_key() && error.help().contains(help), "{said}: {}", error.help());
        assert_eq!(error.to_string(), said);
    }
    let none = "the certificate's PEM has no `CERTIFICATE` section";
    for (given, said, help) in [
        (&b""[..], "the certificate is empty", "copy the file again"),
        (made.cert.der(), "the certificate is DER, not PEM", "`openssl x509"),
        (&pkcs12, "the certificate is a PKCS 12 file, not PEM", "-nokeys"),
        (b"cert.pem", "the certificate is a file name, not PEM", "`file://`"),
        (
            headless_cert.as_deref().unwrap_or_default().as_bytes(),
            "the certificate is truncated: the line `-----BEGIN …-----` is missing or incomplete",
            "complete file",
        ),
        (key, "the certificate is a private key", "swapped"),
        (request.as_bytes(), "the certificate is a certificate request", "issued"),
        (public.as_bytes(), "the certificate is a public key", "in PEM"),
        (b"some words", none, "in PEM"),
    ] {
        let error = Tls::from_pem(given, key).err().ok_or_else(|| said.to_owned())?;
        assert!(!error.is_of_key() && error.help().contains(help), "{said}: {}", error.help());
        assert_eq!(error.to_string(), said);
    }
    let marked = [b"\xef\xbb\xbf", cert].concat();
    assert!(Tls::from_pem(&marked, key).is_ok());
    Ok(())
}
