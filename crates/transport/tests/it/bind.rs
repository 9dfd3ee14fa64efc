//! Binding of requests to arguments: a case for each row of the tables in `docs/http.md`, and for each refusal.

use crate::support::{TestResult, bytes, check, func, list, option, record, request, show};
use crisol_core::{Case, Field, Signature, Type, Value};
use crisol_transport::{Payload, Transport, WasiHttp};

#[test]
fn function_without_parameters_takes_no_input() -> TestResult {
    check(&func([]), "POST / |  | whatever", "values ")
}

#[test]
fn one_string_gets_the_body_as_text() -> TestResult {
    let greet = func([("name", Type::String)]);
    check(&greet, "POST / |  | Ana", r#"values Text("Ana")"#)?;
    check(&greet, "POST / | content-type: application/json | {}", r#"values Text("{}")"#)?;
    check(&greet, "POST / |  | ", r#"values Text("")"#)?;
    check(&greet, "GET /?name=Ana+Mar%C3%ADa", r#"values Text("Ana María")"#)?;
    check(&greet, "POST /?name=Ana |  | Eva", r#"values Text("Eva")"#)?;
    check(&greet, "GET / name=Ana", r#"values Text("Ana")"#)?;
    check(
        &greet,
        "POST / | content-type: text/plain;charset=latin1 | a",
        "415: body: expected text in UTF-8, found `content-type: text/plain;charset=latin1`",
    )?;
    check(
        &greet,
        "POST / | content-encoding: gzip | a",
        "415: body: expected no encoding, found `content-encoding: gzip`",
    )?;
    check(&func([("name", option(Type::String))]), "POST /", "values Null")?;
    check(&func([("name", option(Type::String))]), "POST / |  | a", r#"values Text("a")"#)
}

#[test]
fn text_that_is_not_utf8_is_refused_where_it_breaks() -> TestResult {
    let mut request = request("POST /")?;
    request.body = b"ab\xff"[..].into();
    let error = WasiHttp.decode(request.clone(), Some(&func([("name", Type::String)])));
    let text = error.err().map(|error| error.to_string());
    let expected = "body: expected text in UTF-8, found invalid UTF-8 at byte 2";
    assert_eq!(text.as_deref(), Some(expected));
    let args = WasiHttp.decode(request, Some(&func([("name", bytes())])))?;
    assert_eq!(show(args), "values Bytes([97, 98, 255])");
    Ok(())
}

#[test]
fn any_other_type_gets_the_body_as_json_text_untouched() -> TestResult {
    let users = func([("users", list(record([("id", Type::U32)])))]);
    let body = r#"[{"id": 1}, {"id": "x"}]"#;
    check(&users, &format!("POST / |  | {body}"), &format!("json [{body}]"))?;
    check(&users, "POST / | content-type: application/vnd.a+json | 1", "json [1]")?;
    check(
        &users,
        "POST / | content-type: text/plain | []",
        "415: body: expected `content-type: application/json`, found `content-type: text/plain`",
    )?;
    let two = "POST / |  | 1],[2";
    let message = "400: body: expected list<record { id: u32 }> as JSON, found invalid JSON: \
                   trailing characters at line 1 column 2";
    check(&users, two, message)?;
    check(&users, "POST /", "400: body: expected list<record { id: u32 }> as JSON, found nothing")?;
    check(&func([("n", option(Type::U32))]), "POST /", "values Null")?;
    check(&func([("n", option(Type::U32))]), "POST / |  | null", "json [null]")
}

#[test]
fn a_single_parameter_of_the_path_is_read_by_its_type() -> TestResult {
    let find = func([("user-id", Type::U32)]);
    check(&find, "GET /users/7 user_id=7", "values Int(7)")?;
    check(
        &find,
        "GET /users/x user_id=x",
        "400: path parameter `user-id`: expected u32, found `x`",
    )?;
    check(&find, "GET /?user-id=8", "values Int(8)")?;
    check(
        &find,
        "GET /?user-id=%ff",
        "400: query parameter `user-id`: expected percent-encoded UTF-8, found `%ff`",
    )
}

#[test]
fn a_record_of_parts_gets_the_request() -> TestResult {
    let pair = list(Type::Tuple(vec![Type::String, Type::String]));
    let all = func([(
        "request",
        record([
            ("method", Type::String),
            ("path", Type::String),
            ("query", option(Type::String)),
            ("headers", pair),
            ("params", Type::Map(Box::new(Type::String), Box::new(Type::String))),
            ("body", bytes()),
        ]),
    )]);
    check(
        &all,
        "PUT /a%20b?x=1 id=9 | x-a: 1; x-a: 2 | hi",
        concat!(
            r#"values Map([(Text("method"), Text("PUT")), (Text("path"), Text("/a%20b")), "#,
            r#"(Text("query"), Text("x=1")), (Text("headers"), List([List([Text("x-a"), Text("1")]), "#,
            r#"List([Text("x-a"), Text("2")])])), (Text("params"), Map([(Text("id"), Text("9"))])), "#,
            r#"(Text("body"), Bytes([104, 105]))])"#
        ),
    )?;
    let query = record([("page", option(Type::U32)), ("tag", list(Type::String))]);
    let typed = func([("r", record([("query", query), ("body", option(Type::U32))]))]);
    check(
        &typed,
        "POST /?tag=a&tag=b&other=1 |  | 5",
        concat!(
            r#"values Map([(Text("query"), Map([(Text("page"), Null), (Text("tag"), "#,
            r#"List([Text("a"), Text("b")]))])), (Text("body"), Int(5))])"#
        ),
    )?;
    check(&typed, "POST /?page=x&tag=", "400: query parameter `page`: expected u32, found `x`")?;
    check(&typed, "POST /", "400: missing parameter `tag`: pass it as query parameter `tag`")
}

#[test]
fn a_method_may_be_an_enum_or_a_variant() -> TestResult {
    let methods = Type::Enum(vec!["get".to_owned(), "post".to_owned()]);
    let by_enum = func([("r", record([("method", methods)]))]);
    check(&by_enum, "POST /", r#"values Map([(Text("method"), Text("post"))])"#)?;
    check(&by_enum, "PUT /", "400: method: expected enum { get, post }, found `PUT`")?;
    let cases = vec![
        Case { name: "get".to_owned(), ty: None },
        Case { name: "other".to_owned(), ty: Some(Type::String) },
    ];
    let by_variant = func([("r", record([("method", Type::Variant(cases))]))]);
    let put = r#"values Map([(Text("method"), Map([(Text("other"), Text("PUT"))]))])"#;
    check(&by_variant, "PUT /", put)
}

#[test]
fn a_record_with_another_field_or_type_is_json() -> TestResult {
    let page = func([("page", record([("path", list(Type::String))]))]);
    check(&page, r#"POST / |  | {"path":[]}"#, r#"json [{"path":[]}]"#)?;
    let post = func([("post", record([("body", Type::String), ("title", Type::String)]))]);
    check(&post, r#"POST / |  | {"body":"","title":""}"#, r#"json [{"body":"","title":""}]"#)
}

#[test]
fn headers_come_in_every_shape() -> TestResult {
    let shapes = [
        (
            list(record([("name", Type::String), ("value", bytes())])),
            r#"List([Map([(Text("name"), Text("a")), (Text("value"), Bytes([49]))]), Map([(Text("name"), Text("a")), (Text("value"), Bytes([50]))])])"#,
        ),
        (
            Type::Map(Box::new(Type::String), Box::new(Type::String)),
            r#"Map([(Text("a"), Text("1, 2"))])"#,
        ),
        (
            Type::Map(Box::new(Type::String), Box::new(list(Type::String))),
            r#"Map([(Text("a"), List([Text("1"), Text("2")]))])"#,
        ),
        (record([("A", list(Type::U8))]), "400: header `A`: expected one list<u8>, found 2 values"),
        (record([("a", list(Type::U16))]), r#"Map([(Text("a"), List([Int(1), Int(2)]))])"#),
    ];
    for (shape, expected) in shapes {
        let signature = func([("headers", shape), ("x", option(Type::Bool))]);
        let expected = match expected.strip_prefix("400") {
            Some(_) => expected.to_owned(),
            None => format!("values {expected}, Null"),
        };
        check(&signature, "GET / | a: 1; a: 2", &expected)?;
    }
    Ok(())
}

#[test]
fn several_parameters_are_found_by_name_source_after_source() -> TestResult {
    let put = func([("id", Type::U32), ("dry-run", option(Type::Bool)), ("name", Type::String)]);
    check(&put, r#"PUT /7?dry_run=true id=7 |  | {"name": "Ana"}"#, r#"json [7,true,"Ana"]"#)?;
    check(&put, r#"PUT /7 id=7 |  | {"name": "Ana", "id": 8}"#, r#"json [7,null,"Ana"]"#)?;
    check(&put, r#"PUT /7 |  | {"name": 1.50, "id": [8]}"#, "json [[8],null,1.50]")?;
    check(&put, "GET /7?name=Ana id=7", r#"values Int(7), Null, Text("Ana")"#)?;
    check(
        &put,
        "GET /7 id=7",
        "400: missing parameter `name`: pass it as query parameter `name` or as field `name` of a JSON object or form in the body",
    )?;
    check(
        &put,
        r#"PUT /7 id=7 |  | {"name": "", "dryrun": true}"#,
        "400: body: unknown field `dryrun`: expected one of `id`, `dry-run`, `name`",
    )?;
    check(
        &put,
        "PUT /7 id=7 |  | [1]",
        "400: body: expected a JSON object with the parameters as fields, found `[1]`",
    )?;
    check(
        &put,
        "PUT /7 id=7 | content-type: text/html | {}",
        "415: body: expected `content-type: application/json` or `application/x-www-form-urlencoded`, found `content-type: text/html`",
    )
}

#[test]
fn a_parameter_called_body_takes_the_whole_of_it() -> TestResult {
    let store = func([("key", Type::String), ("body", bytes()), ("note", option(Type::String))]);
    let expected = r#"values Text("k"), Bytes([123]), Null"#;
    check(&store, "PUT /k key=k | content-type: text/x | {", expected)?;
    let json = func([("key", Type::String), ("body", list(Type::U32))]);
    check(&json, "PUT /k key=k |  | [1,2]", r#"values Text("k"), List([Int(1), Int(2)])"#)
}

#[test]
fn a_name_given_twice_is_ambiguous() -> TestResult {
    let two = func([("a", Type::U32), ("b", option(Type::U32))]);
    check(&two, "GET /?a=1&a=2", "400: query parameter `a`: expected one u32, found 2 values")
}

#[test]
fn a_repeated_field_is_refused_in_any_spelling() -> TestResult {
    let two = func([("user-id", Type::U32), ("b", option(Type::U32))]);
    for (body, named) in [
        (r#"{"user_id":1,"user_id":2}"#, "duplicate field `user_id`"),
        (r#"{"b":0,"user-id":1,"user-id":1}"#, "duplicate field `user-id`"),
        (r#"{"user_id":1,"user-id":2,"b":3}"#, "duplicate field `user_id`, also as `user-id`"),
        (r#"{"user-id":1,"b":3,"user_id":2}"#, "duplicate field `user-id`, also as `user_id`"),
        (r#"{"user\u005fid":1,"user_id":2}"#, "duplicate field `user_id`"),
        (r#"{"user_id":1,"user\u002did":2}"#, "duplicate field `user_id`, also as `user-id`"),
        (r#"{"x":1,"user_id":1,"x":2}"#, "duplicate field `x`"),
    ] {
        let line = format!("POST / |  | {body}");
        check(&two, &line, &format!("400: body: {named}"))?;
    }
    // Also together with a parameter of the path or the query.
    let expected = "400: body: duplicate field `user_id`";
    check(&two, r#"POST /?user_id=1 |  | {"user_id":1,"user_id":2}"#, expected)?;
    // A body that is a single value is parsed by the callee, whose records refuse a repeated name.
    let one = func([("r", record([("a", Type::U32)]))]);
    check(&one, r#"POST / |  | {"a":1,"a":2}"#, r#"json [{"a":1,"a":2}]"#)?;
    let whole = func([("id", Type::U32), ("body", record([("a", Type::U32)]))]);
    let both = r#"values Int(1), Map([(Text("a"), Int(1)), (Text("a"), Int(2))])"#;
    check(&whole, r#"POST /?id=1 |  | {"a":1,"a":2}"#, both)
}

proptest::proptest! {
    #[test]
    fn json_object_with_duplicate_names_is_refused(
        names in proptest::collection::vec("[ab_-]{1,2}", 0..6),
    ) {
        let fields: Vec<_> = names.iter().map(|name| format!(r#""{name}":1"#)).collect();
        let params: Vec<_> = names.iter().map(|name| (name.replace('_', "-"), Type::U32)).collect();
        let unique: std::collections::BTreeSet<_> = params.iter().map(|(name, _)| name).collect();
        let mut params: Vec<_> = params
            .iter()
            .map(|(name, ty)| Field { name: name.clone(), ty: ty.clone() })
            .collect();
        params.push(Field { name: "other".to_owned(), ty: option(Type::U32) });
        params.push(Field { name: "more".to_owned(), ty: option(Type::U32) });
        let signature = Signature { params, result: None };
        let line = format!("POST / |  | {{{}}}", fields.join(","));
        let bound = WasiHttp.decode(request(&line).unwrap(), Some(&signature));
        proptest::prop_assert_eq!(bound.is_ok(), unique.len() == names.len());
    }
}

#[test]
fn numbers_that_json_lacks_survive_beside_json() -> TestResult {
    let two = func([("a", Type::F64), ("b", Type::U32)]);
    check(&two, r#"POST /?a=NaN |  | {"b":1}"#, r#"json ["NaN",1]"#)
}

#[test]
fn payload_takes_the_arguments_in_order() -> TestResult {
    let signature = func([("a", Type::S32), ("b", Type::S32)]);
    let decode = |line: &str| -> Result<String, Box<dyn std::error::Error>> {
        Ok(match Payload.decode(request(line)?, Some(&signature)) {
            Ok(args) => show(args),
            Err(error) => format!("{}: {error}", error.cause().status().as_u16()),
        })
    };
    assert_eq!(decode("POST / |  | [6, 7]")?, "json [6, 7]");
    assert_eq!(decode("POST /")?, "values ");
    assert_eq!(
        decode("POST / |  | 6")?,
        "400: body: expected an array of the arguments, in order, as JSON, found `6`"
    );
    assert_eq!(
        decode("POST / |  | [6")?,
        "400: body: expected an array of the arguments, in order, as JSON, found invalid JSON: EOF while parsing a list at line 1 column 2"
    );
    Ok(())
}

#[test]
fn a_function_without_a_signature_gets_the_request_as_a_record() -> TestResult {
    let bind = |line: &str| -> Result<String, Box<dyn std::error::Error>> {
        Ok(match WasiHttp.decode(request(line)?, None) {
            Ok(args) => {
                let values = args.into_values()?;
                values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Err(error) => format!("{}: {error}", error.cause().status().as_u16()),
        })
    };
    assert_eq!(
        bind(
            "PUT /users/7?tag=a+b&tag=c%C3%A9&x id=7 | Accept: a; accept: b; cookie: c=1; cookie: d=2 | {}"
        )?,
        r#"{"method":"PUT","path":"/users/7","query":{"tag":"cé","x":""},"query_string":"tag=a+b&tag=c%C3%A9&x","headers":{"accept":"a, b","cookie":"c=1; d=2"},"params":{"id":"7"},"body":"{}"}"#,
    );
    assert_eq!(
        bind("GET /")?,
        r#"{"method":"GET","path":"/","query":{},"query_string":null,"headers":{},"params":{},"body":""}"#,
    );
    assert_eq!(
        bind("GET /?x=%ff")?,
        "400: query parameter `x`: expected percent-encoded UTF-8, found `%ff`"
    );
    let mut binary = request("POST /")?;
    binary.body = b"\xff\0"[..].into();
    let values = WasiHttp.decode(binary, None)?.into_values()?;
    let body = values.first().and_then(|request| request.get("body"));
    assert_eq!(body, Some(&Value::Bytes(b"\xff\0".to_vec())));
    assert_eq!(show(Payload.decode(request("POST / |  | [6, 7]")?, None)?), "json [6, 7]");
    Ok(())
}
