//! `crisol serve`: the program on a socket, and its end.
#![cfg(feature = "http")]

use std::net::TcpStream;

use crate::support::served::{Served, read};
use crate::support::{App, Tested, crisol, tour};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

#[test]
fn the_users_endpoint_greets() -> Tested {
    let served = Served::start(&tour(), &ANY_PORT)?;
    let answer = served.post("/api/greet", "Ana")?;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nHello, Ana!"), "{answer}");
    assert!(served.post("/api/other", "")?.starts_with("HTTP/1.1 404 "));
    Ok(())
}

/// App with endpoints that sleep: `POST /sleep?ms=N` in a component, and `POST /told?ms=N` in a script that logs its
/// start.
fn sleeper() -> Tested<App> {
    let hash = crisol_fixtures::sha256("sleep-test");
    App::new(
        &format!(
            "  - name: sleep\n    kind: function.wasm\n    fs: assets\n    path: /sleep-test.wasm\n    hash: sha256:{hash}\n    method: test-sleep#sleep-ms\n    transport: wasi-http\n    imports: [\"wasi:io\", \"wasi:clocks\"]\n  - name: e\n    kind: http.endpoint\n    method: POST\n    path: /sleep\n    func: sleep\n{TOLD}"
        ),
        &["sleep-test"],
    )
}

const TOLD: &str = r#"  - name: told
    kind: function.lua
    modules: [log, time]
    method: f
    source: |
      local log, time = require('log'), require('time')
      return {f = function(request)
        log.warn('falls asleep')
        time.sleep(tonumber(request.query.ms))
      end}
    limits: {max_execution_ms: 3600000}
  - name: told_e
    kind: http.endpoint
    method: POST
    path: /told
    func: told
"#;

/// Sends a request and waits until it runs.
fn asleep(served: &mut Served, ms: u32) -> Tested<TcpStream> {
    let stream = served.send(&format!("POST /told?ms={ms} HTTP/1.1\r\nhost: a\r\n\r\n"))?;
    let said = served.said()?;
    assert!(said.contains("falls asleep"), "{said}");
    Ok(stream)
}

#[cfg(unix)]
#[test]
fn signal_drains_and_exits_with_success() -> Tested {
    for signal in ["-TERM", "-INT"] {
        // At an address without other tests: the port is free afterwards.
        let mut served = Served::start(sleeper()?.path(), &["--listen", "127.0.0.2:0"])?;
        let busy = asleep(&mut served, 1000)?;
        served.signal(signal)?;
        let answer = read(busy)?;
        assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
        assert_eq!(served.child.wait()?.code(), Some(0));
        assert!(TcpStream::connect(&served.addr).is_err());
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn second_signal_or_end_of_grace_period_closes_connections() -> Tested {
    let an_hour = ["--listen", "127.0.0.2:0", "--grace", "3600"];
    let mut served = Served::start(sleeper()?.path(), &an_hour)?;
    let busy = asleep(&mut served, 600_000)?;
    served.signal("-TERM")?;
    // The first signal was handled once connections are refused.
    while TcpStream::connect(&served.addr).is_ok() {
        std::thread::yield_now();
    }
    served.signal("-TERM")?;
    assert_eq!(served.child.wait()?.code(), Some(143));
    assert_eq!(read(busy).unwrap_or_default(), "");

    let mut served =
        Served::start(sleeper()?.path(), &["--listen", "127.0.0.1:0", "--grace", "0"])?;
    let busy = asleep(&mut served, 600_000)?;
    served.signal("-TERM")?;
    assert_eq!(served.child.wait()?.code(), Some(0));
    assert_eq!(read(busy).unwrap_or_default(), "");
    Ok(())
}

#[test]
fn instances_option_limits_live_instances() -> Tested {
    let app = sleeper()?;
    let served = Served::start(app.path(), &["--listen", "127.0.0.1:0", "--instances", "1"])?;
    // Either of two may get the only instance, and the other is refused: send more until one sleeps in it.
    let mut sent = Vec::new();
    loop {
        sent.push(served.send("POST /sleep?ms=600000 HTTP/1.1\r\nhost: a\r\n\r\n")?);
        if served.post("/sleep?ms=0", "")?.starts_with("HTTP/1.1 503 ") {
            break;
        }
    }
    drop(sent);
    let served = Served::start(app.path(), &["--listen", "127.0.0.1:0", "--instances", "2"])?;
    let _busy = served.send("POST /sleep?ms=600000 HTTP/1.1\r\nhost: a\r\n\r\n")?;
    for _ in 0..3 {
        assert!(served.post("/sleep?ms=0", "")?.starts_with("HTTP/1.1 200 "));
    }
    let none = app.run(&["serve", "--instances", "0"])?;
    assert_eq!(none.code, Some(2));
    Ok(())
}

#[test]
fn error_of_serve_has_the_reason() -> Tested {
    let nothing = App::new("  - name: v\n    kind: env.storage.memory\n", &[])?;
    let run = nothing.run(&["serve"])?;
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("the app has nothing to serve: add an `http.endpoint`"), "{run:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let addr = taken.local_addr()?.to_string();
    let run = crisol(&tour(), &["serve", "--listen", &addr])?;
    assert_eq!(run.code, Some(2));
    let message = format!("service `listen` cannot listen on {addr}");
    assert!(run.stderr.contains(&message), "{run:?}");
    Ok(())
}

/// App whose only endpoint, at `/`, is a component that answers HTTP itself.
fn proxy(fields: &str) -> Tested<App> {
    let hash = crisol_fixtures::sha256("hello-http");
    App::new(
        &format!(
            "  - name: hello\n    kind: function.wasm\n    fs: assets\n    path: /hello-http.wasm\n    hash: sha256:{hash}\n    transport: wasi-http\n{fields}  - name: e\n    kind: http.endpoint\n    method: ANY\n    path: /{{rest...}}\n    func: hello\n"
        ),
        &["hello-http"],
    )
}

#[test]
fn a_component_that_answers_http_itself_is_served() -> Tested {
    let reused = "    method: incoming-handler\n    pool: {type: lazy, max_size: 4, max_instance_reuse: 1000}\n";
    for fields in ["    method: wasi:http/incoming-handler\n", reused] {
        let served = Served::start(proxy(fields)?.path(), &ANY_PORT)?;
        for _ in 0..3 {
            let answer = served.post("/any/path", "a body that is not read")?;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("content-type: text/plain\r\n"), "{answer}");
            assert!(answer.contains("content-length: 5\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        }
        // A client of HTTP/1.0 need not name a host.
        let answer = read(served.send("GET / HTTP/1.0\r\n\r\n")?)?;
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
        // Two pipelined requests on one connection.
        let twice = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let answer = read(served.send(twice)?)?;
        assert_eq!(answer.matches("\r\n\r\nhello").count(), 2, "{answer}");
        let head = read(served.send("HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?)?;
        assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
    Ok(())
}

#[test]
fn openapi_is_printed_and_served_on_request() -> Tested {
    let hash = crisol_fixtures::sha256("compute");
    let entries = format!(
        "  - name: web\n    kind: http.service\n    addr: 127.0.0.1:0\n    openapi: true\n  - name: compute\n    kind: function.wasm\n    fs: assets\n    path: /compute.wasm\n    hash: sha256:{hash}\n    method: compute\n    transport: wasi-http\n  - name: e\n    kind: http.endpoint\n    path: /compute/{{a}}\n    func: compute\n"
    );
    let app = App::new(&entries, &["compute"])?;
    let printed = app.run(&["openapi"])?;
    let document: serde_json::Value = serde_json::from_str(&printed.stdout)?;
    let operation = &document["paths"]["/compute/{a}"]["get"];
    assert_eq!(operation["operationId"], "myns:e");
    assert_eq!(operation["parameters"][0]["in"], "path");
    assert_eq!(operation["parameters"][1]["name"], "b");
    assert_eq!(operation["parameters"][1]["schema"]["maximum"], i32::MAX);
    let served = Served::start(app.path(), &[])?;
    let get = |path: &str| {
        read(served.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))?)
    };
    let answer = get("/openapi.json")?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    assert_eq!(serde_json::from_str::<serde_json::Value>(body)?, document);
    assert!(get("/compute/6?b=7")?.ends_with("\r\n\r\n42"));
    Ok(())
}

#[test]
fn files_are_served_below_their_path() -> Tested {
    let app = App::new(
        "  - name: pages\n    kind: fs.directory\n    directory: ./pages\n  - name: site\n    kind: http.static\n    path: /docs\n    fs: pages\n    fallback: index.html\n",
        &[],
    )?;
    std::fs::create_dir(app.path().join("pages"))?;
    std::fs::write(app.path().join("pages/index.html"), "<p>index")?;
    std::fs::write(app.path().join("pages/a.txt"), "text")?;
    let served = Served::start(app.path(), &ANY_PORT)?;
    let get = |path: &str| {
        read(served.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))?)
    };
    assert!(get("/docs/a.txt")?.ends_with("\r\n\r\ntext"));
    assert!(get("/docs/")?.ends_with("\r\n\r\n<p>index"));
    assert!(get("/docs/a/route")?.ends_with("\r\n\r\n<p>index"));
    let moved = get("/docs")?;
    assert!(
        moved.starts_with("HTTP/1.1 308 ") && moved.contains("location: /docs/\r\n"),
        "{moved}"
    );
    assert!(get("/docs/../_index.yaml")?.starts_with("HTTP/1.1 404 "));
    assert!(get("/")?.starts_with("HTTP/1.1 404 "));
    Ok(())
}
