//! Serves a function over HTTP with a custom transport: words in, a line of text out. The app is in memory.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::error::Error;
use std::time::Duration;

use crisol::http::{self, BadRequest, ServeOptions, Transport};
use crisol::signature::Signature;
use crisol::{Args, CallError, Reply, Runtime, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const APP: &str = r#"
namespace: app
entries:
  - name: add
    kind: function.wat
    source: |
      (module (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1))))
    method: add
    transport: words
  - name: add_endpoint
    kind: http.endpoint
    method: POST
    path: /add
    func: add
"#;

/// Transport whose arguments are words: numbers, or else text. The call checks them against the signature.
struct Words;

impl Transport for Words {
    fn decode(
        &self,
        request: http::Request,
        _signature: Option<&Signature>,
    ) -> Result<Args<'static>, BadRequest> {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let word = |word: &str| word.parse().map_or(Value::from(word), Value::Int);
        Ok(Args::Values(text.split_whitespace().map(word).collect()))
    }

    fn encode(
        &self,
        _signature: Option<&Signature>,
        outcome: Result<Reply, &CallError>,
    ) -> Result<http::Response, http::Problem> {
        // Standard responses to a failed call: for example 400 for the client's mistakes, 500 for the function's.
        let reply = outcome.map_err(http::Problem::from)?;
        let value = reply.to_value().unwrap_or_default();
        Ok(http::Response::ok("text/plain; charset=utf-8", format!("the answer is {value}\n")))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = Runtime::builder().file("_index.yaml", APP).transport("words", Words);
    let runtime = builder.load()?;
    let options = ServeOptions::default().with_listen(Some("127.0.0.1:0".parse()?));
    let serving = runtime.serve(options).await?;
    let listening = serving.listening();
    let addr = listening.first().and_then(|one| one.addr.tcp()).ok_or("nothing listens")?;

    for body in ["6 7", "6 seven"] {
        let mut stream = TcpStream::connect(addr).await?;
        let length = body.len();
        let request = format!(
            "POST /add HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("{answer}\n");
    }
    serving.stop(Duration::from_secs(1)).await;
    Ok(())
}
