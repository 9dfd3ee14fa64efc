//! Responses from results and errors: a case for each row of the tables in `docs/http.md`.

use std::time::Duration;

use crisol_core::{
    CallError, EntryId, ErrorDetails, Field, OverBudget, Overload, Reply, Signature, Spent, Type,
    Value,
};
use crisol_transport::{Payload, Problem, Response, Transport, WasiHttp};

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn record<const N: usize>(of: [(&str, Type); N]) -> Type {
    Type::Record(of.into_iter().map(|(name, ty)| Field { name: name.to_owned(), ty }).collect())
}

fn map<const N: usize>(of: [(&str, Value); N]) -> Value {
    Value::Map(of.into_iter().map(|(name, value)| (Value::from(name), value)).collect())
}

fn id() -> Result<EntryId, crisol_core::EntryIdError> {
    "myns:f".parse()
}

/// Formats a response as `status, headers | body`.
fn show(response: &Response) -> String {
    let headers: String = response
        .headers
        .iter()
        .map(|(name, value)| format!(", {name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let body = String::from_utf8_lossy(&response.body);
    format!("{}{headers} | {body}", response.status.as_u16())
}

fn outcome(transport: &dyn Transport, ty: Option<Type>, value: Value) -> Result<Response, Problem> {
    let signature = Signature { params: Vec::new(), result: ty };
    transport.encode(Some(&signature), Ok(Reply::new(value)))
}

#[track_caller]
fn check(ty: impl Into<Option<Type>>, value: Value, expected: &str) {
    let found = match outcome(&WasiHttp, ty.into(), value) {
        Ok(response) => show(&response),
        Err(problem) => format!("{} {:?}", problem.status().as_u16(), problem.log_detail()),
    };
    assert_eq!(found, expected);
}

#[track_caller]
fn check_error(error: &CallError, expected: &str) {
    let response = match WasiHttp.encode(Some(&Signature::default()), Err(error)) {
        Ok(response) => response,
        Err(problem) => problem.into_response(Some("r1")),
    };
    assert_eq!(show(&response), expected);
}

#[test]
fn empty_result_is_204() {
    let option = |ty| Type::Option(Box::new(ty));
    check(None, Value::Null, "204 | ");
    check(Type::Result { ok: None, err: None }, Value::Null, "204 | ");
    check(option(Type::String), Value::Null, "204 | ");
    check(option(Type::U32), Value::Null, "204 | ");
    check(option(list(Type::U8)), Value::Null, "204 | ");
    check(option(Type::U32), Value::Int(1), "200, content-type: application/json | 1");
}

#[test]
fn text_bytes_and_json() {
    let text = "200, content-type: text/plain; charset=utf-8 | hola";
    check(Type::String, Value::from("hola"), text);
    let ok = Type::Result { ok: Some(Box::new(Type::String)), err: None };
    check(ok, Value::from("hola"), text);
    let bytes = "200, content-type: application/octet-stream | hi";
    check(list(Type::U8), Value::Bytes(b"hi".to_vec()), bytes);
    check(list(Type::U8), Value::List(vec![Value::Int(104), Value::Int(105)]), bytes);
    let user = record([("id", Type::U32), ("status", Type::String)]);
    let value = map([("id", Value::Int(1)), ("status", Value::from("on"))]);
    check(user, value, r#"200, content-type: application/json | {"id":1,"status":"on"}"#);
    check(Type::S32, Value::from("x"), r#"200, content-type: application/json | "x""#);
}

#[test]
fn a_record_with_status_is_the_response() {
    let pairs = list(Type::Tuple(vec![Type::String, Type::String]));
    let response = record([("status", Type::U16), ("headers", pairs), ("body", Type::String)]);
    let header = |name: &str, value: &str| Value::List(vec![Value::from(name), Value::from(value)]);
    let full = |status: i64, headers: Vec<Value>| {
        let headers = Value::List(headers);
        map([("status", Value::Int(status)), ("headers", headers), ("body", Value::from("<p>"))])
    };
    let html = vec![
        header("Content-Type", "text/html"),
        header("Set-Cookie", "a=1"),
        header("Set-Cookie", "b=2"),
        header("Content-Length", "999"),
        header("Transfer-Encoding", "chunked"),
    ];
    let expected = "201, content-type: text/html, set-cookie: a=1, set-cookie: b=2 | <p>";
    check(response.clone(), full(201, html), expected);
    let plain = "404, content-type: text/plain; charset=utf-8 | <p>";
    check(response.clone(), full(404, vec![]), plain);
    let inside = r#"500 Some("expected a `status` of 200 to 599, found 9000")"#;
    check(response.clone(), full(9000, vec![]), inside);
    check(
        response,
        full(200, vec![header("a b", "c")]),
        "500 Some(\"`a b`: invalid HTTP header name\")",
    );
    let only = record([("status", Type::U16)]);
    check(only, map([("status", Value::Int(418))]), "418 | ");
    let json = record([("status", Type::U16), ("body", list(Type::U32))]);
    let value = map([("status", Value::Int(202)), ("body", Value::List(vec![Value::Int(1)]))]);
    check(json, value, "202, content-type: application/json | [1]");
}

#[test]
fn a_result_without_a_type_decides_by_itself() {
    #[track_caller]
    fn check(value: Value, expected: &str) {
        let found = match WasiHttp.encode(None, Ok(Reply::new(value))) {
            Ok(response) => show(&response),
            Err(problem) => format!("{} {:?}", problem.status().as_u16(), problem.log_detail()),
        };
        assert_eq!(found, expected);
    }
    let (status, body) = (("status", Value::Int(201)), ("body", Value::from("hi")));
    check(Value::Null, "204 | ");
    check(Value::from("hi"), "200, content-type: text/plain; charset=utf-8 | hi");
    check(Value::Bytes(b"hi".to_vec()), "200, content-type: application/octet-stream | hi");
    check(Value::Int(7), "200, content-type: application/json | 7");
    check(Value::Float(f64::NAN), r#"200, content-type: application/json | "NaN""#);
    check(map([status.clone()]), "201 | ");
    let text = "201, content-type: text/plain; charset=utf-8 | hi";
    check(map([status.clone(), body.clone()]), text);
    let headers = map([
        ("content-type", Value::from("text/html")),
        ("set-cookie", Value::List(vec!["a=1".into(), "b=2".into()])),
        ("x-count", Value::Int(3)),
    ]);
    check(
        map([status.clone(), ("headers", headers), body.clone()]),
        "201, content-type: text/html, set-cookie: a=1, set-cookie: b=2, x-count: 3 | hi",
    );
    let json = map([status.clone(), ("body", map([("a", Value::Int(1))]))]);
    check(json, r#"201, content-type: application/json | {"a":1}"#);
    // With another field, or with text as `status`, the result is data; an invalid number is an error.
    let more = map([status, ("id", Value::Int(5))]);
    check(more, r#"200, content-type: application/json | {"status":201,"id":5}"#);
    let on = map([("status", Value::from("on"))]);
    check(on, r#"200, content-type: application/json | {"status":"on"}"#);
    check(body_alone(), r#"200, content-type: application/json | {"body":"hi"}"#);
    for (number, shown) in [(Value::Int(7), "7"), (Value::Float(200.5), "200.5")] {
        let inside = format!("500 Some(\"expected a `status` of 200 to 599, found {shown}\")");
        check(map([("status", number)]), &inside);
    }
    let keys = Value::Map(vec![(Value::List(vec![]), Value::Null)]);
    check(keys, r#"500 Some("the result has no JSON form: key must be a string")"#);
    let payload = Payload.encode(None, Ok(Reply::new(map([("status", Value::Int(201))]))));
    let payload = payload.map(|response| show(&response));
    let json = r#"200, content-type: application/json | {"status":201}"#;
    assert_eq!(payload.as_deref(), Ok(json));
}

fn body_alone() -> Value {
    map([("body", Value::from("hi"))])
}

#[test]
fn payload_is_json_for_every_type() {
    let answer = |ty, value| outcome(&Payload, ty, value).map(|response| show(&response));
    let text = r#"200, content-type: application/json | "hola""#;
    assert_eq!(answer(Some(Type::String), Value::from("hola")).as_deref(), Ok(text));
    assert_eq!(answer(None, Value::Null).as_deref(), Ok("204 | "));
}

#[test]
fn the_error_side_is_500_or_its_own_status() -> TestResult {
    let error = |error| -> Result<CallError, crisol_core::EntryIdError> {
        Ok(CallError::function(&id()?, error))
    };
    check_error(
        &error(Value::from("no luck"))?,
        r#"500, content-type: application/problem+json | {"type":"about:blank","title":"Internal Server Error","status":500,"detail":"the function returned an error","error":"no luck","request_id":"r1"}"#,
    );
    check_error(
        &error(map([("status", Value::Int(409)), ("have", Value::Int(2))]))?,
        r#"409, content-type: application/problem+json | {"type":"about:blank","title":"Conflict","status":409,"detail":"the function returned an error","error":{"status":409,"have":2},"request_id":"r1"}"#,
    );
    check_error(
        &error(map([("status", Value::Int(404)), ("body", Value::from("gone"))]))?,
        "404, content-type: text/plain; charset=utf-8 | gone",
    );
    Ok(())
}

#[test]
fn failures_tell_the_client_its_own_mistakes_alone() -> TestResult {
    let (id, source) = (id()?, "secret /srv/a.wasm");
    let over = OverBudget { wanted: 1, used: 7, limit: 7 };
    check_error(
        &CallError::trap(&id, source),
        r#"500, content-type: application/problem+json | {"type":"about:blank","title":"Internal Server Error","status":500,"detail":"the function failed","request_id":"r1"}"#,
    );
    check_error(
        &CallError::invalid_input(&id, "argument 1: expected s32"),
        r#"400, content-type: application/problem+json | {"type":"about:blank","title":"Bad Request","status":400,"detail":"argument 1: expected s32","request_id":"r1"}"#,
    );
    check_error(
        &CallError::saturated(&id, Overload::Queue { waiting: 9 }),
        r#"503, retry-after: 1, content-type: application/problem+json | {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"too many calls are waiting; try again later","request_id":"r1"}"#,
    );
    for (error, detail) in [
        (CallError::saturated(&id, Overload::Instances { allowed: 9 }), "all instances are in use"),
        (
            CallError::saturated(&id, Overload::SystemMemory).with_cause(source),
            "no memory is left for another call",
        ),
        (CallError::saturated(&id, Overload::Memory(over)), "no memory is left for another call"),
    ] {
        check_error(
            &error,
            &format!(
                r#"503, retry-after: 1, content-type: application/problem+json | {{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"{detail}; try again later","request_id":"r1"}}"#
            ),
        );
    }
    check_error(
        &CallError::interrupted(&id),
        r#"500, content-type: application/problem+json | {"type":"about:blank","title":"Internal Server Error","status":500,"detail":"the function was stopped while it ran","request_id":"r1"}"#,
    );
    let limit = Some(Duration::from_secs(1));
    check_error(
        &CallError::new(&id, ErrorDetails::Deadline { limit, spent: Spent::default() }),
        r#"504, content-type: application/problem+json | {"type":"about:blank","title":"Gateway Timeout","status":504,"detail":"the function did not answer in time","request_id":"r1"}"#,
    );
    Ok(())
}
