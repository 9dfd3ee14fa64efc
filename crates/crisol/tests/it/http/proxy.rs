//! HTTP handlers of WASI 0.2 and 0.3: both versions get the same requests.

use std::time::Duration;

use crisol::change::Changes;
use crisol::pool::{Retired, Stats};

use crate::http::support::{Served, Tested, skip_half_an_hour};

/// Guests, one of each version; both act as the path says.
const GUESTS: [&str; 2] = ["proxy", "proxy-p3"];

/// Builds the head of a request with a chunked body.
fn chunked(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: here\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n"
    )
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: here\r\nte: trailers\r\n\r\n")
}

#[tokio::test]
async fn the_request_is_seen_as_it_was_sent() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, "").await?;
        let answer = served.ask("PATCH /request/a%20b?c=d&c=e", "X-Odd: \u{e9}\r\n", b"").await?;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{guest}: {answer}");
        assert!(answer.contains("Method::Patch http://here/request/a%20b?c=d&c=e\n"), "{answer}");
        assert!(answer.contains("x-odd: \u{e9}\n"), "{answer}");
        let answer = served.ask("BREW /request", "", b"").await?;
        assert!(answer.contains("Method::Other(\"BREW\")"), "{guest}: {answer}");
        for host in ["", "host: \r\n", "host: a b\r\n"] {
            let mut connection = served.connect().await?;
            connection.send(format!("GET / HTTP/1.1\r\n{host}connection: close\r\n\r\n")).await?;
            let answer = connection.rest().await?;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{guest} {host:?}: {answer}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn body_and_trailers_stream_back_while_the_request_arrives() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, "").await?;
        let mut connection = served.connect().await?;
        connection.send(chunked("/echo")).await?;
        let head = connection.read_to("\r\n\r\n").await?;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{guest}: {head}");
        for piece in ["one", "second", "and the third"] {
            connection.send(format!("{:x}\r\n{piece}\r\n", piece.len())).await?;
            assert_eq!(connection.chunk().await?, piece, "{guest}");
        }
        connection.send("0\r\nx-sum: 3\r\n\r\n").await?;
        assert_eq!(connection.read_to("\r\n\r\n").await?, "0\r\nx-sum: 3\r\n\r\n", "{guest}");
        // The connection stays usable.
        connection.send(get("/trailers")).await?;
        connection.read_to("\r\n\r\n").await?;
        assert_eq!(connection.chunk().await?, "body", "{guest}");
        assert_eq!(connection.read_to("\r\n\r\n").await?, "0\r\nx-checked: yes\r\n\r\n");
    }
    Ok(())
}

#[tokio::test]
async fn request_body_can_be_passed_through_unread() -> Tested {
    let served = Served::proxy("proxy-p3", "").await?;
    let mut connection = served.connect().await?;
    connection.send(chunked("/pass")).await?;
    connection.read_to("\r\n\r\n").await?;
    for piece in ["one", "two"] {
        connection.send(format!("3\r\n{piece}\r\n")).await?;
        assert_eq!(connection.chunk().await?, piece);
    }
    // The guest has returned, but its instance stays busy while its response is in transit.
    assert_eq!(served.runtime.stats("a:p").ok_or("no stats")?.busy, 1);
    connection.send("0\r\nx-sum: 2\r\n\r\n").await?;
    assert_eq!(connection.read_to("\r\n\r\n").await?, "0\r\nx-sum: 2\r\n\r\n");
    served.until("it is given back", |stats| stats.busy == 0).await
}

#[tokio::test]
async fn guest_may_answer_before_or_without_reading_the_request() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, "").await?;
        let mut connection = served.connect().await?;
        connection.send(chunked("/count")).await?;
        connection.read_to("\r\n\r\n").await?;
        assert_eq!(connection.chunk().await?, "ready\n", "{guest}");
        connection.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await?;
        assert_eq!(connection.chunk().await?, "5 whole", "{guest}");

        let mut connection = served.connect().await?;
        connection.send(chunked("/ignore")).await?;
        connection.read_to("\r\n\r\n").await?;
        assert_eq!(connection.chunk().await?, "ignored", "{guest}");
        assert_eq!(connection.read_to("0\r\n\r\n").await?, "0\r\n\r\n", "{guest}");
        served.until("both are over", |stats| stats.busy == 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn guest_ends_after_its_client_disconnects() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, "").await?;
        // The client leaves before the response, in the middle of it, or in the middle of the request's body.
        for (request, begun) in [
            (get("/wait"), false),
            (get("/stall"), true),
            (chunked("/echo") + "3\r\nabc\r\n", true),
            (get("/large/100000000"), true),
        ] {
            let before = served.runtime.stats("a:p").ok_or("no stats")?;
            let mut connection = served.connect().await?;
            connection.send(&request).await?;
            if begun {
                connection.read_to("\r\n\r\n").await?;
                connection.chunk().await?;
            }
            served.until("it runs", |stats| stats.busy == 1).await?;
            drop(connection);
            // A guest whose request body breaks off may end by itself first.
            let alone = request.starts_with("POST");
            let cancelled = before.retired_for(Retired::Cancelled) + 1;
            let what = format!("{guest}: gone after {request:?}");
            let gone = |stats: &Stats| {
                stats.busy == 0 && (alone || stats.retired_for(Retired::Cancelled) == cancelled)
            };
            served.until(&what, gone).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_or_breaks_off() -> Tested {
    for guest in GUESTS {
        let hash = crisol_fixtures::sha256(guest);
        let method = if guest == "proxy" { "incoming-handler" } else { "handler" };
        let served = Served::start(&format!(
            "  - {{name: web, kind: http.service, addr: \"127.0.0.1:0\", limits: {{max_body_bytes: 8}}}}\n  - {{name: p, kind: function.wasm, fs: guests, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: {method}, transport: wasi-http}}\n  - {{name: e, kind: http.endpoint, method: ANY, path: \"/{{rest...}}\", func: p}}\n"
        ))
        .await?;
        let answer = served.ask("POST /echo", "", b"eight!!!").await?;
        assert!(answer.contains("\r\n8\r\neight!!!\r\n"), "{guest}: {answer}");
        let answer = served.ask("POST /echo", "", b"over nine").await?;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{guest}: {answer}");
        assert_eq!(served.runtime.stats("a:p").ok_or("no stats")?.created, 1, "{guest}");
        let mut connection = served.connect().await?;
        connection.send(chunked("/count")).await?;
        connection.read_to("\r\n\r\n").await?;
        assert_eq!(connection.chunk().await?, "ready\n", "{guest}");
        connection.send("5\r\n12345\r\n5\r\n67890\r\n").await?;
        let end = connection.chunk().await?;
        assert!(end.ends_with(" broken"), "{guest}: {end}");
    }
    Ok(())
}

#[tokio::test]
async fn a_response_may_be_larger_than_a_result() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, ", limits: {max_output_bytes: 1000}").await?;
        let answer = served.ask("GET /large/1000000", "", b"").await?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        assert!(body.ends_with("\r\n0\r\n\r\n"), "{guest}");
        assert_eq!(body.matches('x').count(), 1_000_000, "{guest}");
    }
    Ok(())
}

#[tokio::test]
async fn deadline_is_504_before_the_head_and_aborts_the_body_after() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, ", limits: {max_execution_ms: 1800000}").await?;
        let late = async |nth: u64| {
            let what = format!("{guest}: {nth} are retired");
            skip_half_an_hour().await;
            served.until(&what, |stats| stats.retired_for(Retired::TimedOut) == nth).await
        };
        for (path, nth) in [("/wait", 1), ("/spin", 2)] {
            let mut connection = served.connect().await?;
            connection.send(get(path)).await?;
            served.until("it runs", |stats| (stats.busy, stats.created) == (1, nth)).await?;
            late(nth).await?;
            let head = connection.read_to("\r\n\r\n").await?;
            assert!(head.starts_with("HTTP/1.1 504 "), "{guest} {path}: {head}");
        }
        let mut connection = served.connect().await?;
        connection.send(get("/stall")).await?;
        let head = connection.read_to("\r\n\r\n").await?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{guest}: {head}");
        assert_eq!(connection.chunk().await?, "first", "{guest}");
        late(3).await?;
        assert_eq!(connection.rest().await?, "", "{guest}");
        // A complete response stays complete, although the guest never returns.
        let mut connection = served.connect().await?;
        connection.send(get("/linger")).await?;
        connection.read_to("\r\ncomplete\r\n0\r\n\r\n").await?;
        late(4).await?;
    }
    Ok(())
}

#[tokio::test]
async fn trap_is_500_before_the_head_and_aborts_the_body_after() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, "").await?;
        for path in ["/trap", "/error"] {
            let answer = served.ask(&format!("GET {path}"), "", b"").await?;
            assert!(answer.starts_with("HTTP/1.1 500 "), "{guest} {path}: {answer}");
            assert!(answer.contains("\"detail\":\"the function failed\""), "{guest}: {answer}");
        }
        let answer = served.ask("GET /break", "", b"").await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{guest}: {answer}");
        assert!(answer.ends_with("\r\n5\r\nfirst\r\n"), "{guest}: {answer}");
        served.until("it is retired", |stats| stats.retired_for(Retired::Failed) == 2).await?;
    }
    let served = Served::proxy("proxy", "").await?;
    let answer = served.ask("GET /silent", "", b"").await?;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_full_pool_is_503_at_once() -> Tested {
    for guest in GUESTS {
        let full = ", pool: {type: static, workers: 1, buffer: 0}";
        let served = Served::proxy(guest, full).await?;
        let mut busy = served.connect().await?;
        busy.send(get("/stall")).await?;
        busy.read_to("first").await?;
        let answer = served.ask("GET /ignore", "", b"").await?.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 503 "), "{guest}: {answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{guest}: {answer}");
        drop(busy);
        served.until("it is free again", |stats| stats.busy == 0).await?;
        let answer = served.ask("GET /ignore", "", b"").await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{guest}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_answers_as_many_requests_as_it_may() -> Tested {
    for guest in GUESTS {
        let reused = ", pool: {type: static, workers: 1, max_instance_reuse: 3}";
        let served = Served::proxy(guest, reused).await?;
        for round in 1..=6 {
            let answer = served.ask("POST /echo", "", b"hello").await?;
            assert!(answer.contains("\r\n5\r\nhello\r\n0\r\n"), "{guest} {round}: {answer}");
        }
        // An instance that the pool creates ahead of a request may replace a used one.
        served.until("one is worn", |stats| stats.retired_for(Retired::Worn) >= 1).await?;
        let created = served.runtime.stats("a:p").ok_or("no stats")?.created;
        assert!((2..=4).contains(&created), "{guest}: {created}");
    }
    Ok(())
}

#[tokio::test]
async fn change_lists_a_rebuilt_handler() -> Tested {
    let served = Served::proxy("proxy", "").await?;
    let hash = crisol_fixtures::sha256("proxy");
    let entry = format!(
        "{{name: p, kind: function.wasm, fs: guests, path: /proxy.wasm, hash: \"sha256:{hash}\", method: \"wasi:http/incoming-handler\", transport: wasi-http, imports: [\"wasi:clocks\", \"wasi:io\"], limits: {{max_execution_ms: 5000}}}}"
    );
    let other = "{name: v, kind: env.storage.memory}";
    for (entry, rebuilt) in [(entry.as_str(), vec!["a:p"]), (other, vec![])] {
        let changes = Changes::new().put(format!("namespace: a\nentries: [{entry}]\n"));
        let applied = served.runtime.apply(changes).await?;
        let ids: Vec<_> = applied.rebuilt.iter().map(crisol::EntryId::as_str).collect();
        assert_eq!(ids, rebuilt);
    }
    Ok(())
}

#[tokio::test]
async fn router_timeout_covers_the_body() -> Tested {
    for guest in GUESTS {
        let router = "  - {name: r, kind: http.router, middleware: [{timeout: 1800s}]}\n";
        let limits = ", limits: {max_execution_ms: 7200000}";
        let served = Served::proxy_beside(guest, limits, router).await?;
        let mut connection = served.connect().await?;
        connection.send(get("/stall")).await?;
        connection.read_to("\r\n5\r\nfirst\r\n").await?;
        skip_half_an_hour().await;
        served.until("it is retired", |stats| stats.retired_for(Retired::TimedOut) == 1).await?;
        assert_eq!(connection.rest().await?, "", "{guest}");
    }
    Ok(())
}

#[tokio::test]
async fn next_request_sees_a_changed_variable() -> Tested {
    for guest in GUESTS {
        let fields = ", pool: {type: static, workers: 1, max_instance_reuse: 100}, wasi: {env: [{id: v, name: V}]}";
        let others = "  - {name: s, kind: env.storage.memory}\n  - {name: v, kind: env.variable, storage: s, default: one}\n";
        let served = Served::proxy_beside(guest, fields, others).await?;
        let stale = || served.runtime.stats("a:p").map(|stats| stats.retired_for(Retired::Stale));
        for (value, gone) in [("one", 0), ("two", 1), ("two", 1), ("three", 2)] {
            served.runtime.set_variable("a:v", Some(value))?;
            let answer = served.ask("POST /echo", "", b"hello").await?;
            assert!(answer.contains("\r\n5\r\nhello\r\n0\r\n"), "{guest}: {answer}");
            assert_eq!(stale(), Some(gone), "{guest} {value}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn drain_interrupts_before_the_response_and_cuts_it_after() -> Tested {
    for guest in GUESTS {
        let served = Served::proxy(guest, ", pool: {type: lazy, max_size: 2}").await?;
        let (mut before, mut after) = (served.connect().await?, served.connect().await?);
        before.send(get("/wait")).await?;
        after.send(get("/stall")).await?;
        after.read_to("first\r\n").await?;
        served.until("both run", |stats| (stats.busy, stats.created) == (2, 2)).await?;
        let drained = served.runtime.drain(Duration::ZERO).await;
        assert_eq!(drained.interrupted, 2, "{guest}");
        let head = before.read_to("\r\n\r\n").await?;
        let is_final = head.starts_with("HTTP/1.1 500 ") && !head.contains("retry-after");
        assert!(is_final, "{guest}: {head}");
        assert_eq!(after.rest().await?, "", "{guest}");
        served.until("both are gone", |stats| stats.retired_for(Retired::Interrupted) == 2).await?;
    }
    Ok(())
}
