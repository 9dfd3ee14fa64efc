//! Endpoints whose functions are written in Lua.

use crate::http::support::{Served, Tested};

/// Lua script that answers by the path.
const ANSWERS: &str = r##"
    local answers, json = {}, require('json')
    function answers.text(r) return r.method .. " " .. r.path .. " " .. r.params.id end
    function answers.query(r) return r.query.a .. "," .. r.query["b c"] .. "," .. r.query_string end
    function answers.header(r) return r.headers["x-one"] end
    function answers.body(r) return #r.body .. ":" .. r.body end
    function answers.none(r) return r.query_string end
    function answers.json(r) return {list = {1, 2}, empty = {}, got = json.decode(r.body)} end
    function answers.number(r) return 7 end
    function answers.bytes(r) return "\255\0" end
    function answers.whole(r)
        return {status = 201, headers = {["set-cookie"] = {"a=1", "b=2"}, ["x-id"] = r.params.id}, body = {id = 5}}
    end
    function answers.bad(r) return {status = 9000} end
    function answers.err(r) return nil, "no luck" end
    function answers.missing(r) return nil, {status = 404, message = "no such user"} end
    function answers.page(r) return nil, {status = 410, headers = {["content-type"] = "text/html"}, body = "<p>"} end
    function answers.raised(r) error("the secret") end
    return {f = function(...)
        assert(select("#", ...) == 1)
        return answers[(...).params.id](...)
    end}
"##;

/// Serves an app with one Lua function, with the given script, behind `/f/{id}` and all methods.
async fn serve(script: &str, more: &str) -> Tested<Served> {
    let entries = format!(
        "  - {{name: f, kind: function.lua, method: f, modules: [funcs, json, time]{more}, source: {script:?}}}\n  - {{name: e, kind: http.endpoint, method: ANY, path: \"/f/{{id}}\", func: f}}\n"
    );
    Served::start(&entries).await
}

#[tokio::test]
async fn lua_function_maps_request_and_response() -> Tested {
    let served = serve(ANSWERS, "").await?;
    let ask = async |line: &str, headers: &str, body: &[u8]| -> Tested<(String, String)> {
        let answer = served.ask(line, headers, body).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
        Ok((head.to_ascii_lowercase(), body.to_owned()))
    };
    let (head, body) = ask("PURGE /f/text?x", "", b"").await?;
    assert_eq!(body, "PURGE /f/text text");
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; charset=utf-8"), "{head}");
    let (_, body) = ask("GET /f/query?a=0&a=%C3%A9&b+c=2", "", b"").await?;
    assert_eq!(body, "é,2,a=0&a=%C3%A9&b+c=2");
    assert_eq!(ask("GET /f/header", "X-One: 1\r\nx-one: 2\r\n", b"").await?.1, "1, 2");
    let (_, body) = ask("POST /f/body", "content-type: image/png\r\n", "hé".as_bytes()).await?;
    assert_eq!(body, "3:hé");
    let (head, body) = ask("POST /f/body", "", b"\xff\0").await?;
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    assert_eq!(body, "2:\u{fffd}\0");
    let (head, body) = ask("GET /f/none", "", b"").await?;
    assert!(head.starts_with("http/1.1 204 no content\r\n") && body.is_empty(), "{head}");
    let (head, body) = ask("POST /f/json", "", br#"{"a":[1,null]}"#).await?;
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, r#"{"empty":{},"got":{"a":[1,null]},"list":[1,2]}"#);
    assert_eq!(ask("GET /f/number", "", b"").await?.1, "7");
    assert!(ask("GET /f/bytes", "", b"").await?.0.contains("application/octet-stream"));
    let (head, body) = ask("GET /f/whole", "", b"").await?;
    assert!(head.starts_with("http/1.1 201 created\r\n"), "{head}");
    assert!(head.contains("set-cookie: a=1\r\nset-cookie: b=2\r\n"), "{head}");
    assert!(head.contains("x-id: whole\r\n"), "{head}");
    assert_eq!(body, r#"{"id":5}"#);

    let (head, body) = ask("GET /f/bad", "", b"").await?;
    assert!(head.starts_with("http/1.1 500 "), "{head}");
    assert!(body.contains("the function failed") && !body.contains("9000"), "{body}");
    let (head, body) = ask("GET /f/err", "", b"").await?;
    assert!(head.starts_with("http/1.1 500 "), "{head}");
    assert!(head.contains("application/problem+json"), "{head}");
    assert!(body.contains(r#""error":"no luck""#), "{body}");
    assert_eq!(body.matches("no luck").count(), 1, "{body}");
    let (head, body) = ask("GET /f/missing", "", b"").await?;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    assert!(body.contains(r#""error":{"message":"no such user","status":404}"#), "{body}");
    let (head, body) = ask("GET /f/page", "", b"").await?;
    assert!(head.starts_with("http/1.1 410 ") && head.contains("text/html"), "{head}");
    assert_eq!(body, "<p>");
    let (head, body) = ask("GET /f/raised", "", b"").await?;
    assert!(head.starts_with("http/1.1 500 "), "{head}");
    assert!(!body.contains("secret"), "{body}");
    let (head, body) = ask("GET /f/text?a=%ff", "", b"").await?;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    assert!(body.contains("query parameter `a`"), "{body}");
    Ok(())
}

#[tokio::test]
async fn the_limits_of_a_lua_function_hold_over_http() -> Tested {
    let script = "local time = require('time') return {f = function(r) time.sleep(600000) end}";
    let served = serve(script, ", limits: {max_execution_ms: 50}").await?;
    assert!(served.ask("GET /f/1", "", b"").await?.starts_with("HTTP/1.1 504 "));
    let full = ", pool: {type: static, workers: 1, buffer: 0}";
    let served = serve(script, full).await?;
    let mut asleep = served.connect().await?;
    asleep.send("GET /f/1 HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    while served.runtime.stats("a:f").ok_or("no function")?.busy == 0 {
        tokio::task::yield_now().await;
    }
    let refused = served.ask("GET /f/2", "", b"").await?.to_ascii_lowercase();
    assert!(refused.starts_with("http/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_lua_function_is_described_as_taking_and_giving_anything() -> Tested {
    let served = serve("return {f = function(r) end}", "").await?;
    let (_, document) = served.runtime.generation().openapi().remove(0);
    let operation = &document["paths"]["/f/{id}"]["post"];
    assert_eq!(operation["parameters"][0]["name"], "id");
    assert!(operation["requestBody"]["content"]["*/*"].is_object(), "{operation}");
    assert!(operation["responses"]["default"]["content"]["*/*"].is_object(), "{operation}");
    Ok(())
}
