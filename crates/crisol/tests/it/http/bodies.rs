//! Request bodies of functions whose pool is full.

use crate::http::support::{Served, Tested};

const ENTRIES: &str = r#"  - name: p
    kind: function.wat
    source: '(module (memory (export "memory") 40) (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)) (func (export "f") (param i32 i32) (loop (br 0))))'
    wit: 'f: func(body: string);'
    method: f
    transport: wasi-http
    limits: {max_execution_ms: 600000}
    pool: {type: lazy, max_size: 1, buffer: 1}
  - {name: e, kind: http.endpoint, func: p, method: POST, path: /f}
"#;

#[tokio::test]
async fn full_pool_refuses_before_reading_the_body() -> Tested {
    let served = Served::start(ENTRIES).await?;
    let mut inside = Vec::new();
    for busy in 1..=2 {
        let mut connection = served.connect().await?;
        connection.send("POST /f HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").await?;
        inside.push(connection);
        served.until("one more", |stats| stats.busy + stats.queued == busy).await?;
    }
    let mut refused = served.connect().await?;
    refused.send("POST /f HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000\r\n\r\n").await?;
    let head = refused.read_to("\r\n\r\n").await?;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after"), "{head}");
    assert_eq!(served.runtime.stats("a:p").map(|stats| stats.saturated), Some(1));
    Ok(())
}
