//! OpenAPI operations of endpoints: the description must match the binding.

use crisol_core::{Case, Field, Signature, Type};
use crisol_transport::openapi::{Binding, RouteDescription, operation};
use http::Method;
use serde_json::{Value as Json, json};

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.to_owned(), ty }
}

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

fn describe(method: &Method, params: &[&str], signature: &Signature, binding: Binding) -> Json {
    let binding = Some((binding, signature));
    operation(&RouteDescription { id: "t:e", method, params, binding })
}

#[test]
fn parameters_stand_where_they_are_looked_for() {
    let params = vec![
        field("user-id", Type::U32),
        field("tag", option(Type::String)),
        field("deep", Type::Tuple(vec![Type::Bool])),
    ];
    let signature = Signature { params, result: None };
    let get = describe(&Method::GET, &["user_id"], &signature, Binding::WasiHttp);
    let id = json!({
        "name": "user_id", "in": "path", "required": true,
        "schema": {"type": "integer", "minimum": 0, "maximum": u32::MAX}
    });
    let deep = json!({"schema": {
        "type": "array", "minItems": 1, "maxItems": 1, "prefixItems": [{"type": "boolean"}]
    }});
    assert_eq!(
        get["parameters"],
        json!([
            id,
            {"name": "tag", "in": "query", "required": false, "schema": {"type": "string"}},
            {"name": "deep", "in": "query", "required": true, "content": {"application/json": deep}},
        ])
    );
    assert_eq!(get["responses"]["204"]["description"], "done");

    let post = describe(&Method::POST, &["user_id"], &signature, Binding::WasiHttp);
    assert_eq!(post["parameters"], json!([id]));
    let body = &post["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(
        (&body["required"], &body["additionalProperties"]),
        (&json!(["deep"]), &json!(false))
    );
    assert_eq!(post["requestBody"]["required"], true);
    let form = &post["requestBody"]["content"]["application/x-www-form-urlencoded"];
    assert_eq!(form["encoding"], json!({"deep": {"contentType": "application/json"}}));
    assert_eq!(
        form["schema"],
        json!({
            "type": "object",
            "properties": {"tag": {"type": "string"}, "deep": deep["schema"]},
            "required": ["deep"],
            "additionalProperties": false
        })
    );

    let payload = describe(&Method::POST, &[], &signature, Binding::Payload);
    let body = &payload["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!((&body["minItems"], &body["prefixItems"][2]["type"]), (&json!(3), &json!("array")));
}

#[test]
fn a_single_parameter_is_described_as_the_body() {
    let text = Signature { params: vec![field("body", Type::String)], result: Some(Type::String) };
    let greet = describe(&Method::POST, &[], &text, Binding::WasiHttp);
    assert_eq!(
        greet["requestBody"],
        json!({"required": false, "content": {"text/plain": {"schema": {"type": "string"}}}})
    );
    assert_eq!(
        greet["responses"]["200"]["content"],
        json!({"text/plain": {"schema": {"type": "string"}}})
    );
    let problem = &greet["responses"]["default"]["content"];
    assert!(problem["application/problem+json"].is_object() && problem.get("*/*").is_none());

    let request = Type::Record(vec![field("method", Type::String), field("path", Type::String)]);
    let response = Type::Record(vec![field("status", Type::U16), field("body", Type::String)]);
    let whole = Signature { params: vec![field("r", request)], result: Some(response) };
    let whole = describe(&Method::POST, &[], &whole, Binding::WasiHttp);
    assert!(whole.get("requestBody").is_none());
    assert!(whole["responses"]["default"]["content"]["*/*"].is_object());
    assert!(whole["responses"].get("200").is_none());
}

#[test]
fn values_are_described_as_they_are_written() {
    let shape = Type::Variant(vec![
        Case { name: "dot".to_owned(), ty: None },
        Case { name: "line".to_owned(), ty: Some(Type::F32) },
    ]);
    let result = Type::Result { ok: Some(Box::new(shape)), err: Some(Box::new(Type::String)) };
    let bytes = Type::List(Box::new(Type::U8));
    let inner = Type::Record(vec![
        field("bytes", bytes),
        field("twice", option(option(Type::U64))),
        field("map", Type::Map(Box::new(Type::String), Box::new(Type::Char))),
    ]);
    let signature = Signature { params: vec![field("value", inner)], result: Some(result) };
    let described = describe(&Method::POST, &[], &signature, Binding::WasiHttp);
    let taken = &described["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(taken["required"], json!(["bytes", "map"]));
    assert_eq!(taken["properties"]["bytes"]["anyOf"][1]["type"], "string");
    let some = &taken["properties"]["twice"]["anyOf"][0];
    assert_eq!(some["properties"]["some"]["anyOf"][0]["maximum"], u64::MAX);
    assert_eq!(taken["properties"]["map"]["anyOf"][0]["type"], "object");
    let given = &described["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"];
    assert_eq!(given[1], json!({"enum": ["dot"]}));
    assert_eq!(given[0]["properties"]["line"]["anyOf"][1]["enum"][0], "NaN");
}

#[test]
fn a_body_is_described_as_a_form_where_one_is_taken() {
    let form = |ty: Type| {
        let signature = Signature { params: vec![field("v", ty)], result: None };
        let post = describe(&Method::POST, &[], &signature, Binding::WasiHttp);
        post["requestBody"]["content"].get("application/x-www-form-urlencoded").cloned()
    };
    let point = Type::Record(vec![field("x", Type::U8), field("y", option(Type::Bool))]);
    let expected = json!({"schema": {
        "type": "object",
        "properties": {
            "x": {"type": "integer", "minimum": 0, "maximum": 255},
            "y": {"type": "boolean"}
        },
        "required": ["x"],
        "additionalProperties": false
    }});
    assert_eq!(form(point.clone()), Some(expected.clone()));
    assert_eq!(form(option(point)), Some(expected));
    let map = Type::Map(Box::new(Type::String), Box::new(Type::Bool));
    let values = json!({"type": "object", "additionalProperties": {"type": "boolean"}});
    assert_eq!(form(map), Some(json!({"schema": values})));
    let pairs = Type::List(Box::new(Type::Tuple(vec![Type::String, Type::String])));
    assert_eq!(form(pairs), Some(json!({"schema": {"type": "object"}})));
    for none in [Type::String, Type::U32, Type::List(Box::new(Type::U32))] {
        assert_eq!(form(none), None);
    }
}
