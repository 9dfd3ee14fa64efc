//! HTTP handlers that call other functions.

use std::sync::Arc;

use crisol::change::Changes;
use crisol::lua::Script;
use crisol::{CallError, ErrorKind, Value};

use crate::http::support::{Served, Tested};

/// Builds the entries of an HTTP handler, with further fields, and of the functions that it calls.
fn entries(more: &str) -> String {
    let entry = |name: &str, guest: &str, method: &str, more: &str| {
        let hash = crisol_fixtures::sha256(guest);
        format!(
            "  - {{name: {name}, kind: function.wasm, fs: guests, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: \"{method}\"{more}}}\n"
        )
    };
    entry(
        "p",
        "caller",
        "wasi:http/incoming-handler",
        &format!(", transport: wasi-http, imports: [\"wasi:io\", funcs]{more}"),
    ) + &entry("greet", "greet", "greet", "")
        + "  - {name: spin, kind: function.wat, method: f, source: '(module (func (export \"f\") (loop (br 0))))'}\n"
        + "  - {name: e, kind: http.endpoint, method: ANY, path: \"/{rest...}\", func: p}\n"
}

#[tokio::test]
async fn handler_calls_functions_of_its_routes_generation() -> Tested {
    let mut served = Served::start(&entries("")).await?;
    let answer = served.ask("GET /a:greet", "", b"").await?;
    assert!(answer.contains("Hello, world!"), "{answer}");
    let answer = served.ask("GET /a:great", "", b"").await?;
    assert!(answer.contains("did you mean `a:greet`?"), "{answer}");

    // After a change of the app, routes call the old functions until they are refreshed.
    let changes = Changes::new().remove("a:greet".parse()?);
    served.runtime.apply(changes).await?;
    let gone = served.runtime.call::<String>("a:greet", ("Ana",)).await;
    assert_eq!(gone.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    let answer = served.ask("GET /a:greet", "", b"").await?;
    assert!(answer.contains("Hello, world!"), "{answer}");
    served.refresh().await?;
    let answer = served.ask("GET /a:greet", "", b"").await?;
    assert!(answer.contains("unknown function `a:greet`"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn handler_is_late_after_a_nested_call_uses_its_time() -> Tested {
    let served = Served::start(&entries(", limits: {max_execution_ms: 200}")).await?;
    let answer = served.ask("GET /a:spin", "", b"").await?;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    served.until("the handler's instance goes", |stats| stats.busy == 0).await?;
    assert_eq!(served.runtime.stats("a:spin").map(|stats| stats.busy), Some(0));
    Ok(())
}

/// Calls a function in every way; returns the text of each result as JSON, or of its error.
async fn everywhere(served: &Served, name: &str, args: &[Value]) -> Tested<[String; 4]> {
    let id = format!("a:{name}");
    let told = |outcome: Result<Value, CallError>| match outcome {
        Ok(value) => value.to_string(),
        Err(error) => error.public_message(),
    };
    let rust = told(served.runtime.call_values(&id, args.to_vec()).await);

    let list = Value::List(args.to_vec()).to_string();
    let (source, sink) = (
        format!(
            "local v, e = require('funcs').call('{id}', table.unpack(require('json').decode('{list}'))) return v or e"
        ),
        Arc::new(|_: crisol::lua::Output<'_>| {}) as crisol::lua::Sink,
    );
    let script = Script { name: "s".to_owned(), source, args: Vec::new(), sink, deadline: None };
    let lua = served.runtime.run_script(script).await?;
    let lua = lua.get("kind").and_then(|_| lua.get("message")).unwrap_or(&lua).to_string();

    let asked = vec![id.as_str().into(), list.as_str().into()];
    let guest = match served.runtime.call_values("a:ask", asked).await {
        Ok(Value::Text(json)) => json,
        Ok(other) => format!("{other:?}"),
        Err(error) => match error.into_function_error()? {
            Value::List(pair) => pair.last().map(Value::to_string).unwrap_or_default(),
            other => other.to_string(),
        },
    };

    let names = ["a", "b"].iter().zip(args).map(|(name, arg)| format!("\"{name}\":{arg}"));
    let body = match args {
        [only] => only.to_string().trim_matches('"').to_owned(),
        _ => format!("{{{}}}", names.collect::<Vec<_>>().join(",")),
    };
    let answer = served.ask(&format!("POST /{name}"), "", body.as_bytes()).await?;
    let http = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    Ok([rust, lua, guest, http.ok_or("no body")?])
}

#[tokio::test]
async fn all_edges_return_the_same_result_and_error() -> Tested {
    let entry = |name: &str, guest: &str, method: &str, more: &str| {
        let hash = crisol_fixtures::sha256(guest);
        format!(
            "  - {{name: {name}, kind: function.wasm, fs: guests, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: \"{method}\"{more}}}\n  - {{name: e_{name}, kind: http.endpoint, method: POST, path: /{name}, func: {name}}}\n"
        )
    };
    let http = ", transport: wasi-http";
    let served = Served::start(
        &(entry("compute", "compute", "compute", http)
            + &entry("fail", "probe", "fail", http)
            + &entry("ask", "caller", "json", ", imports: [funcs]")),
    )
    .await?;
    let answers = everywhere(&served, "compute", &[Value::Int(6), Value::Int(7)]).await?;
    assert_eq!(answers, ["42"; 4]);

    // The function's own error is the same value everywhere; a wrong argument has the same message.
    let own = everywhere(&served, "fail", &["no luck".into()]).await?;
    assert!(own.iter().all(|told| told.contains("no luck") && told.contains('7')), "{own:?}");
    let wrong = everywhere(&served, "compute", &["six".into(), Value::Int(7)]).await?;
    let words = wrong[0].as_str();
    assert!(words.contains("expected") || words.contains("s32"), "{words}");
    let [_, others @ ..] = &wrong;
    let quoted = |told: &String| told.replace("\\\"", "\"");
    assert!(others.iter().all(|told| quoted(told).contains(words)), "{wrong:?}");
    Ok(())
}
