//! Extensions of the embedding program over HTTP: transports and interceptors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use crisol::http::{self, BadRequest, Transport};
use crisol::interceptor::{Interceptor, Next};
use crisol::signature::Signature;
use crisol::{Args, CallContext, CallError, EntryId, Reply, Runtime, Value};

use crate::http::support::{Served, Tested};

/// Transport with numbers as words between spaces, and the result after `=`.
struct Words;

impl Transport for Words {
    fn decode(
        &self,
        request: http::Request,
        _: Option<&Signature>,
    ) -> Result<Args<'static>, BadRequest> {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let words = text.split_whitespace();
        let number = |word: &str| word.parse().map_or(Value::from(word), Value::Int);
        Ok(Args::Values(words.map(number).collect()))
    }

    fn encode(
        &self,
        _: Option<&Signature>,
        outcome: Result<Reply, &CallError>,
    ) -> Result<http::Response, http::Problem> {
        let reply = outcome.map_err(http::Problem::from)?;
        let value = reply.to_value().unwrap_or_default();
        Ok(http::Response::ok("text/x-words", format!("= {value}")))
    }
}

const ADD: &str = "  - {name: add, kind: function.wat, method: f, transport: words, source: '(module (func (export \"f\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'}\n  - {name: e, kind: http.endpoint, method: POST, path: /add, func: add}\n";

#[tokio::test]
async fn an_entry_names_a_transport_of_the_program() -> Tested {
    let served = Served::embedded(ADD, |builder| builder.transport("words", Words)).await?;
    let answer = served.ask("POST /add", "", b"3 4").await?;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/x-words\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n= 7"), "{answer}");
    assert!(served.ask("POST /add", "", b"3 four").await?.starts_with("HTTP/1.1 400 "));

    let text = format!("namespace: a\nentries:\n{ADD}");
    let load = |name: &'static str| {
        let builder = Runtime::builder().file("_index.yaml", text.clone());
        builder.transport(name, Words).load().err().map(|error| error.to_string())
    };
    let error = load("wordz").ok_or("it loads")?;
    assert!(error.contains("unknown value `words` of `transport`"), "{error}");
    assert!(error.contains("did you mean `wordz`"), "{error}");
    Ok(())
}

/// Interceptor that counts calls, and replies itself while its door is closed.
#[derive(Clone, Default)]
struct Door {
    seen: Arc<AtomicU64>,
    closed: Option<Value>,
    twice: bool,
}

#[async_trait]
impl Interceptor for Door {
    async fn around(
        &self,
        _: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = &self.closed {
            return Ok(Reply::new(answer.clone()));
        }
        if self.twice {
            next.run(context.clone(), args.clone()).await?;
        }
        next.run(context, args).await
    }
}

#[tokio::test]
async fn interceptors_see_requests_of_functions_and_handlers() -> Tested {
    let greet = {
        let hash = crisol_fixtures::sha256("greet");
        format!(
            "  - {{name: greet, kind: function.wasm, fs: guests, path: /greet.wasm, hash: \"sha256:{hash}\", method: greet, transport: wasi-http}}\n  - {{name: e, kind: http.endpoint, method: POST, path: /, func: greet}}\n"
        )
    };
    let hello = {
        let hash = crisol_fixtures::sha256("hello-http");
        format!(
            "  - {{name: hello, kind: function.wasm, fs: guests, path: /hello-http.wasm, hash: \"sha256:{hash}\", method: \"wasi:http/incoming-handler\", transport: wasi-http, meta: {{options: {{retry: {{}}}}}}}}\n  - {{name: e, kind: http.endpoint, method: POST, path: /, func: hello}}\n"
        )
    };
    for (entries, body, ends) in [(&greet, "Ana", "Hello, Ana!"), (&hello, "", "hello")] {
        let door = Door::default();
        let served = Served::embedded(entries, |builder| builder.interceptor(door.clone())).await?;
        let answer = served.ask("POST /", "", body.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(ends), "{answer}");
        assert_eq!(door.seen.load(Ordering::Relaxed), 1);

        let text = |text: &str| Value::from(text);
        let closed =
            Value::Map(vec![(text("status"), Value::Int(403)), (text("body"), text("closed"))]);
        let door = Door { closed: Some(closed), ..Door::default() };
        let served = Served::embedded(entries, |builder| builder.interceptor(door)).await?;
        let answer = served.ask("POST /", "", body.as_bytes()).await?;
        // The reply must fit the function's signature, and this one is not text.
        let wanted = if ends == "hello" { "HTTP/1.1 403 " } else { "HTTP/1.1 500 " };
        assert!(answer.starts_with(wanted), "{answer}");
    }
    // A streamed request cannot be sent twice: a repeated call fails, and loading warns about `retry`.
    let door = Door { twice: true, ..Door::default() };
    let served = Served::embedded(&hello, |builder| builder.interceptor(door)).await?;
    assert!(served.ask("POST /", "", b"").await?.starts_with("HTTP/1.1 500 "));
    let warnings = served.runtime.generation().warnings().to_string();
    assert!(warnings.contains("`meta.options.retry` has no effect"), "{warnings}");
    Ok(())
}
