//! Guests that answer HTTP and call other functions for it.

use crisol::{Changes, ErrorKind};

use crate::support::{Served, Tested};

fn entries() -> String {
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
        ", transport: wasi-http, imports: [\"wasi:io\", funcs], limits: {max_execution_ms: 200}",
    ) + &entry("greet", "greet", "greet", "")
        + "  - {name: spin, kind: function.wat, method: f, source: '(module (func (export \"f\") (loop (br 0))))'}\n"
        + "  - {name: e, kind: http.endpoint, method: ANY, path: \"/{rest...}\", func: p}\n"
}

#[tokio::test]
async fn a_handler_calls_functions_of_the_generation_that_its_routes_are_of() -> Tested {
    let mut served = Served::start(&entries()).await?;
    let answer = served.ask("GET /a:greet", "", b"").await?;
    assert!(answer.contains("Hello, world!"), "{answer}");
    let answer = served.ask("GET /a:great", "", b"").await?;
    assert!(answer.contains("did you mean `a:greet`?"), "{answer}");

    // The app changes, and until the routes follow they call what they called.
    let changes = Changes::new().remove("a:greet".parse()?);
    served.runtime.apply(changes).await?;
    let gone = served.runtime.call::<String>("a:greet", ("Ana",)).await;
    assert_eq!(gone.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    let answer = served.ask("GET /a:greet", "", b"").await?;
    assert!(answer.contains("Hello, world!"), "{answer}");
    served.refresh().await?;
    let answer = served.ask("GET /a:greet", "", b"").await?;
    assert!(answer.contains("there is no function `a:greet`"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_handler_whose_call_takes_all_its_time_is_late_itself() -> Tested {
    let served = Served::start(&entries()).await?;
    let answer = served.ask("GET /a:spin", "", b"").await?;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    served.until("the handler's instance goes", |stats| stats.busy == 0).await?;
    assert_eq!(served.runtime.stats("a:spin").map(|stats| stats.busy), Some(0));
    Ok(())
}
