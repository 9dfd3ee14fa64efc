//! Many concurrent requests.
#![cfg(target_os = "linux")]

use crisol::engine::Allocation;
use crisol::pool::Retired;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::http::support::{Served, Tested};

const MANY: u32 = 2000;

/// Returns the number of threads of this process.
fn threads() -> Tested<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

fn sleep(ms: u32) -> String {
    format!("POST /sleep?ms={ms} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sleeping_requests_need_no_extra_thread() -> Tested {
    let name = "two_thousand_sleeping_requests_need_no_extra_thread";
    if !crisol_fixtures::runs_alone(module_path!(), name)? {
        return Ok(());
    }
    // This process holds a file descriptor for both ends of each connection.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    let hash = crisol_fixtures::sha256("sleep-test");
    let more = MANY + 1;
    let entries = format!(
        "  - {{name: p, kind: function.wasm, fs: guests, path: /sleep-test.wasm, hash: \"sha256:{hash}\", method: \"test-sleep#sleep-ms\", transport: wasi-http, imports: [\"wasi:clocks\", \"wasi:io\"], limits: {{max_execution_ms: 3600000}}, pool: {{type: lazy, max_size: {more}}}}}\n  - {{name: e, kind: http.endpoint, method: POST, path: /sleep, func: p}}\n"
    );
    let served = Served::start_with(Allocation::Pooling { instances: MANY }, &entries).await?;
    assert!(served.ask("POST /sleep?ms=0", "", b"").await?.starts_with("HTTP/1.1 200 "));

    let before = threads()?;
    let mut asleep = Vec::new();
    for _ in 0..MANY {
        let mut connection = served.connect().await?;
        connection.send(sleep(3_600_000)).await?;
        asleep.push(connection);
    }
    served.until("all sleep", |stats| stats.busy == u64::from(MANY)).await?;
    // Not equal: threads that loaded the app may still have been running at the first count, and one links the code on the
    // shard of another thread.
    let meanwhile = threads()?;
    assert!(meanwhile <= before + 1, "{meanwhile} threads, and {before} before");
    // The pool would allow one more worker; the engine has no instance left.
    let answer = served.ask("POST /sleep?ms=0", "", b"").await?;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(asleep);
    let cancelled = u64::from(MANY);
    served
        .until("all are gone", |stats| {
            stats.busy == 0 && stats.retired_for(Retired::Cancelled) == cancelled
        })
        .await?;

    let mut asleep = Vec::new();
    for _ in 0..MANY {
        let mut connection = served.connect().await?;
        connection.send(sleep(100)).await?;
        asleep.push(connection);
    }
    for connection in asleep {
        let answer = connection.rest().await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    Ok(())
}
