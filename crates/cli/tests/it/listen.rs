//! `crisol serve` and its sockets: changed addresses, renewed certificates, Unix sockets, few file descriptors, and a
//! stop that load balancers learn of late.
#![cfg(all(feature = "http", unix))]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::support::served::{Served, address, read};
use crate::support::{Tested, crisol};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const ASK: &str = "GET /f HTTP/1.1\r\nhost: a\r\n\r\n";

/// App with one service, whose `GET /f` answers with a number.
fn index(service: &str, number: u32) -> String {
    format!(
        "namespace: n\nentries:\n  - {{name: svc, kind: http.service, {service}}}\n  - {{name: f, kind: function.wat, source: '(module (func (export \"f\") (result i32) i32.const {number}))', method: f, transport: wasi-http}}\n  - {{name: e, kind: http.endpoint, func: f, path: /f}}\n"
    )
}

fn app(service: &str) -> Tested<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("_index.yaml"), index(service, 1))?;
    Ok(dir)
}

/// Reads the answer to [`ASK`] on a connection that stays open.
fn answer(stream: &mut impl Read) -> Tested<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.extend(byte);
    }
    stream.read_exact(&mut byte)?;
    bytes.extend(byte);
    Ok(String::from_utf8(bytes)?)
}

fn asked(stream: &mut (impl Read + Write)) -> Tested<String> {
    stream.write_all(ASK.as_bytes())?;
    answer(stream)
}

fn is_answer(text: &str, number: u32) -> bool {
    text.starts_with("HTTP/1.1 200 ") && text.ends_with(&format!("\r\n\r\n{number}"))
}

#[test]
fn address_changes_to_a_wider_one_and_back() -> Tested {
    let dir = app("addr: '127.0.0.1:0'")?;
    let mut run = Served::start(dir.path(), &[])?;
    let mut port = run.addr.clone();
    let port = port.split_off("127.0.0.1:".len());
    for (at, host) in ["0.0.0.0", "127.0.0.1", "", "127.0.0.1"].into_iter().enumerate() {
        let number = u32::try_from(at)? + 2;
        let text = index(&format!("addr: '{host}:{port}'"), number);
        fs::write(dir.path().join("_index.yaml"), text)?;
        let before = TcpStream::connect(&run.addr)?;
        run.signal("-HUP")?;
        let said = run.said()?;
        assert_eq!(said, format!("reloaded: generation {number}: replaced n:f, n:svc"));
        assert!(run.printed()?.starts_with("no longer serving n:svc on http://"));
        assert!(run.printed()?.starts_with("serving n:svc on http://"));
        assert!(is_answer(&asked(&mut TcpStream::connect(&run.addr)?)?, number));
        drop(before);
    }
    // No other process can share the port.
    let second = crisol(dir.path(), &["serve"])?;
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains("cannot listen on 127.0.0.1:"), "{second:?}");
    Ok(())
}

#[test]
fn reload_with_unavailable_socket_is_rejected() -> Tested {
    let dir = app("addr: '127.0.0.1:0'")?;
    let mut run = Served::start(dir.path(), &[])?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let addr = taken.local_addr()?;
    fs::write(dir.path().join("_index.yaml"), index(&format!("addr: '{addr}'"), 2))?;
    for _ in 0..2 {
        run.signal("-HUP")?;
        let said = run.said()?;
        assert!(
            said.starts_with(&format!("error: service `n:svc` cannot listen on {addr}")),
            "{said}"
        );
        assert_eq!(run.said()?, "not reloaded: still serving generation 1");
        assert!(is_answer(&asked(&mut TcpStream::connect(&run.addr)?)?, 1));
    }
    drop(taken);
    run.signal("-HUP")?;
    assert_eq!(run.said()?, "reloaded: generation 2: replaced n:f, n:svc");
    assert!(is_answer(&asked(&mut TcpStream::connect(addr)?)?, 2));
    Ok(())
}

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

/// Writes a new certificate and its key at the app's paths.
fn renew(app: &Path) -> Tested<Made> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    fs::write(app.join("cert.pem"), made.cert.pem())?;
    fs::write(app.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(made)
}

/// Connects to a server with this certificate.
fn secure(
    addr: &str,
    trusted: &CertificateDer<'static>,
) -> Tested<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    Ok(StreamOwned::new(client, TcpStream::connect(addr)?))
}

#[test]
fn reload_serves_a_renewed_certificate_and_rejects_a_broken_one() -> Tested {
    let dir = app("addr: '127.0.0.1:0', tls: {cert: 'file://cert.pem', key: 'file://key.pem'}")?;
    let first = renew(dir.path())?;
    let mut run = Served::start(dir.path(), &[])?;
    let mut open = secure(&run.addr, first.cert.der())?;
    assert!(is_answer(&asked(&mut open)?, 1));

    let second = renew(dir.path())?;
    run.signal("-HUP")?;
    assert_eq!(run.said()?, "reloaded: generation 2: replaced n:svc");
    assert!(is_answer(&asked(&mut secure(&run.addr, second.cert.der())?)?, 1));
    assert!(asked(&mut secure(&run.addr, first.cert.der())?).is_err());
    assert!(is_answer(&asked(&mut open)?, 1), "what is open goes on");

    // A certificate with the key of another, and then a broken one.
    fs::write(dir.path().join("cert.pem"), first.cert.pem())?;
    for _ in 0..2 {
        run.signal("-HUP")?;
        let mut said = run.said()?;
        assert!(said.starts_with("error[bad-tls]"), "{said}");
        while said != "not reloaded: still serving generation 2" {
            said = run.said()?;
        }
        assert!(is_answer(&asked(&mut secure(&run.addr, second.cert.der())?)?, 1));
        fs::write(dir.path().join("cert.pem"), "none")?;
    }
    Ok(())
}

/// Certificate renewed by another program: a broken file is noticed, and the right one is served.
#[test]
fn a_certificate_outside_of_the_app_is_watched() -> Tested {
    let outside = tempfile::tempdir()?;
    renew(outside.path())?;
    let folder = outside.path().display();
    let dir = app(&format!(
        "addr: '127.0.0.1:0', tls: {{cert: '{folder}/cert.pem', key: 'file://{folder}/key.pem'}}"
    ))?;
    let mut run = Served::start(dir.path(), &["--watch"])?;
    fs::write(outside.path().join("key.pem"), "none")?;
    let mut said = run.said()?;
    assert!(said.starts_with("error[bad-tls]"), "{said}");
    let second = renew(outside.path())?;
    run.signal("-HUP")?;
    while !said.starts_with("reloaded: generation ") {
        said = run.said()?;
    }
    assert!(is_answer(&asked(&mut secure(&run.addr, second.cert.der())?)?, 1));
    Ok(())
}

#[test]
fn a_unix_socket_is_served_by_entry_and_by_option() -> Tested {
    let sockets = tempfile::tempdir()?;
    let path = sockets.path().join("a.sock");
    let addr = format!("unix:{}", path.display());
    let dir = app(&format!("addr: '{addr}'"))?;
    let by_option = app("addr: '127.0.0.1:0'")?;
    for (app, args) in [(&dir, &[][..]), (&by_option, &["--listen", &addr])] {
        let mut run = Served::start(app.path(), args)?;
        assert_eq!(Path::new(&run.addr), path);
        assert!(is_answer(&asked(&mut UnixStream::connect(&path)?)?, 1));
        let second = crisol(app.path(), &[&["serve"], args].concat())?;
        assert_eq!(second.code, Some(2));
        assert!(second.stderr.contains(&format!("cannot listen on {addr}")), "{second:?}");
        run.signal("-TERM")?;
        assert_eq!(run.child.wait()?.code(), Some(0));
        assert!(!path.exists());
        // A killed program leaves its file, which the next one replaces.
        let mut killed = Served::start(app.path(), args)?;
        killed.child.kill()?;
        killed.child.wait()?;
        assert!(path.exists());
    }
    let check = crisol(app("addr: 'unix:a.sock'")?.path(), &["check"])?;
    assert_eq!(check.code, Some(2));
    assert!(check.stderr.contains("must begin with `/`"), "{check:?}");
    Ok(())
}

#[test]
fn idle_connections_make_room_when_file_descriptors_run_out() -> Tested {
    let dir = app("addr: '127.0.0.1:0', timeouts: {idle: 1h}")?;
    let program = env!("CARGO_BIN_EXE_crisol");
    let script = format!("ulimit -n 100; exec {program} --app \"$1\" serve");
    let run = Served::spawn(Command::new("sh").args(["-c", &script, "sh"]).arg(dir.path()))?;
    let mut open = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&run.addr)?;
        assert!(is_answer(&asked(&mut stream)?, 1));
        open.push(stream);
    }
    // The latest of them are still open.
    let last = open.last_mut().ok_or("none")?;
    assert!(is_answer(&asked(last)?, 1));
    Ok(())
}

#[test]
fn a_drain_delay_serves_on_and_sends_clients_away() -> Tested {
    let dir = app("addr: '127.0.0.1:0'")?;
    let mut run = Served::start(dir.path(), &["--drain-delay", "3600"])?;
    let mut open = TcpStream::connect(&run.addr)?;
    assert!(!asked(&mut open)?.contains("connection: close"));
    run.signal("-TERM")?;
    assert_eq!(
        run.said()?,
        "stopping: running requests may finish; a second signal ends the program at once"
    );
    open.write_all(ASK.as_bytes())?;
    let last = read(open)?;
    assert!(is_answer(&last, 1) && last.contains("connection: close\r\n"), "{last}");
    for _ in 0..3 {
        let answer = read(run.send(ASK)?)?;
        assert!(is_answer(&answer, 1) && answer.contains("connection: close\r\n"), "{answer}");
    }
    run.signal("-TERM")?;
    assert_eq!(run.child.wait()?.code(), Some(143));

    let mut run = Served::start(dir.path(), &["--drain-delay", "1"])?;
    run.signal("-TERM")?;
    assert_eq!(run.child.wait()?.code(), Some(0));
    assert!(TcpStream::connect(&run.addr).is_err());
    Ok(())
}

#[test]
fn services_on_overlapping_addresses_are_an_error() -> Tested {
    let both = index("addr: ':9'", 1)
        + "  - {name: other, kind: http.service, addr: '127.0.0.1:9'}\n  - {name: e2, kind: http.endpoint, func: f, path: /f, meta: {server: other}}\n";
    let text = both.replace("path: /f}", "path: /f, meta: {server: svc}}");
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("_index.yaml"), text)?;
    let check = crisol(dir.path(), &["check"])?;
    assert_eq!(check.code, Some(2));
    assert!(check.stderr.contains("`n:svc` and `n:other` both listen on port 9"), "{check:?}");
    assert!(address("serving n:svc on http://127.0.0.1:9").is_ok());
    Ok(())
}
