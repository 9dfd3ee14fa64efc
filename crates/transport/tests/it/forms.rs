//! Form bodies: the parameters that accept them, their parsing, and refusals.

use crate::support::{TestResult, bytes, check, func, list, option, record, request, show};
use crisol_core::{Args, Type, Value};
use crisol_transport::{Transport, WasiHttp};

const FORM: &str = "content-type: application/x-www-form-urlencoded";

#[test]
fn a_form_gives_parameters_by_name() -> TestResult {
    let put = func([
        ("id", Type::U32),
        ("user-name", Type::String),
        ("tag", list(Type::String)),
        ("dry-run", option(Type::Bool)),
    ]);
    let ok = |line: &str, expected: &str| check(&put, line, &format!("values {expected}"));
    ok(
        &format!("POST / | {FORM} | id=5&user_name=Ana+Mar%C3%ADa&tag=a&tag=b%26&dry-run=true"),
        r#"Int(5), Text("Ana María"), List([Text("a"), Text("b&")]), Bool(true)"#,
    )?;
    ok(
        &format!("POST /5?tag=q id=5 | {FORM}; x: y | user-name="),
        r#"Int(5), Text(""), List([Text("q")]), Null"#,
    )?;
    let media = "content-type: Application/X-WWW-Form-Urlencoded;charset=UTF-8";
    ok(
        &format!("POST /?id=1&tag= | {media} | &user-name&"),
        r#"Int(1), Text(""), List([Text("")]), Null"#,
    )?;
    for (body, expected) in [
        (
            "id=5",
            "400: missing parameter `user-name`: pass it as query parameter `user-name` or as field `user-name` of a JSON object or form in the body",
        ),
        ("id=x", "400: field `id` of the body: expected u32, found `x`"),
        ("id=5&id=6", "400: field `id` of the body: expected one u32, found 2 values"),
        (
            "id=1&user_name=a&user-name=b",
            "400: field `user-name` of the body: expected one string, found 2 values",
        ),
        (
            "id=1&user_name=a&tag=b&nme=c",
            "400: body: unknown field `nme`: expected one of `id`, `user-name`, `tag`, `dry-run`",
        ),
        ("id=%ff", "400: field `id` of the body: expected percent-encoded UTF-8, found `%ff`"),
        ("id=%", "400: field `id` of the body: expected percent-encoded UTF-8, found `%`"),
        ("id=%4x", "400: field `id` of the body: expected percent-encoded UTF-8, found `%4x`"),
        ("%C3=1", "400: body: expected percent-encoded UTF-8, found `%C3=1`"),
        (
            r#"{"id":5}"#,
            "415: body: expected `content-type: application/json` for JSON, found `content-type: application/x-www-form-urlencoded`",
        ),
    ] {
        check(&put, &format!("POST / | {FORM} | {body}"), expected)?;
    }
    Ok(())
}

#[test]
fn unsupported_media_types_and_charsets_name_the_supported() -> TestResult {
    let two = func([("a", Type::U32), ("b", Type::U32)]);
    let one = func([("r", record([("a", Type::U32)]))]);
    let multipart = "content-type: multipart/form-data; boundary=x";
    let refused = "415: body: expected `content-type: application/json` or \
                   `application/x-www-form-urlencoded`, found `content-type: multipart/form-data";
    for signature in [&two, &one] {
        // This test splits a line into headers at `; `, which the header itself contains.
        let line = format!("POST / | {} | a=1&b=2", multipart.replace("; ", ";"));
        check(signature, &line, &format!("{refused};boundary=x`"))?;
    }
    let latin = format!("POST / | {FORM};charset=latin1 | a=1&b=2");
    let expected = "415: body: expected text in UTF-8, found \
                    `content-type: application/x-www-form-urlencoded;charset=latin1`";
    check(&two, &latin, expected)?;
    let packed = format!("POST / | {FORM}; content-encoding: gzip | a=1&b=2");
    check(&one, &packed, "415: body: expected no encoding, found `content-encoding: gzip`")?;
    // Types that are not a JSON object do not accept a form; text and bytes accept any body.
    let form = format!("POST / | {FORM} | n=5");
    let number = func([("n", Type::U32)]);
    let expected = "415: body: expected `content-type: application/json`, found \
                    `content-type: application/x-www-form-urlencoded`";
    check(&number, &form, expected)?;
    check(&func([("n", Type::String)]), &form, r#"values Text("n=5")"#)?;
    check(&func([("n", bytes())]), &form, "values Bytes([110, 61, 53])")
}

#[test]
fn whole_form_is_a_record_map_or_pairs() -> TestResult {
    let text = || Box::new(Type::String);
    let user = record([
        ("user-id", Type::U64),
        ("roles", list(Type::Enum(vec!["admin".to_owned(), "dev".to_owned()]))),
        ("at", option(Type::Tuple(vec![Type::U8, Type::U8]))),
    ]);
    let body = "user_id=18446744073709551615&roles=dev&roles=admin&at=[1,2]";
    let bound = r#"Map([(Text("user-id"), UInt(18446744073709551615)), (Text("roles"), List([Text("dev"), Text("admin")])), (Text("at"), List([Int(1), Int(2)]))])"#;
    let line = |body: &str| format!("POST / | {FORM} | {body}");
    for ty in [user.clone(), option(user.clone())] {
        check(&func([("user", ty)]), &line(body), &format!("values {bound}"))?;
    }
    let beside = func([("n", Type::U32), ("body", user.clone())]);
    let with_query = line(body).replace("POST /", "POST /?n=1");
    check(&beside, &with_query, &format!("values Int(1), {bound}"))?;
    let part = func([("r", record([("body", user.clone())]))]);
    check(&part, &line(body), &format!(r#"values Map([(Text("body"), {bound})])"#))?;
    for (body, expected) in [
        (
            "user_id=1&user-id=1",
            "400: field `user-id` of the body: expected one u64, found 2 values",
        ),
        ("user_id=1", "400: missing parameter `roles`: pass it as field `roles` of the body"),
        (
            "user_id=1&roles=dev&role=x",
            "400: body: unknown field `role`: expected one of `user-id`, `roles`, `at`",
        ),
        (
            "user_id=1&roles=boss",
            "400: field `roles` of the body: expected enum { admin, dev }, found `boss`",
        ),
        ("", "400: missing parameter `user-id`: pass it as field `user-id` of the body"),
    ] {
        check(&func([("user", user.clone())]), &line(body), expected)?;
    }
    let map = |item| func([("m", Type::Map(text(), Box::new(item)))]);
    let numbers = r#"values Map([(Text("a_b"), Int(1)), (Text("a-b"), Int(2))])"#;
    check(&map(Type::S8), &line("a_b=1&a-b=2"), numbers)?;
    let twice = "400: field `a` of the body: expected one s8, found 2 values";
    check(&map(Type::S8), &line("a=1&a=2"), twice)?;
    let lists =
        r#"values Map([(Text("a"), List([Text("1"), Text("2")])), (Text("b"), List([Text("")]))])"#;
    check(&map(list(Type::String)), &line("a=1&b&a=2"), lists)?;
    let pairs = func([("p", list(Type::Tuple(vec![Type::String, Type::String])))]);
    let all = r#"values List([List([Text("a"), Text("1")]), List([Text("b"), Text("2")]), List([Text("a"), Text("3")])])"#;
    check(&pairs, &line("a=1&b=2&a=3"), all)
}

#[test]
fn a_form_has_a_bounded_number_of_fields() -> TestResult {
    let any = func([("m", Type::Map(Box::new(Type::String), Box::new(list(Type::String))))]);
    let line = |fields: usize| format!("POST / | {FORM} | {}", "a&".repeat(fields));
    assert!(WasiHttp.decode(request(&line(10_000))?, Some(&any)).is_ok());
    let more = "400: body: expected a form of at most 10000 fields, found more";
    check(&any, &line(10_001), more)
}

proptest::proptest! {
    #[test]
    fn forms_are_parsed_like_browsers_write_them(
        body in proptest::collection::vec(
            proptest::sample::select(b"a_&&==+%%4Cc3A9\xc3\xa9\xff".to_vec()), 0..24,
        ),
    ) {
        let ty = list(Type::Tuple(vec![Type::String, Type::String]));
        let mut sent = request(&format!("POST / | {FORM}")).unwrap();
        sent.body = body.clone().into();
        if let Ok(args) = WasiHttp.decode(sent, Some(&func([("p", ty)]))) {
            let pairs = form_urlencoded::parse(&body);
            let meant = pairs.map(|(name, value)| {
                Value::List(vec![Value::from(&*name), Value::from(&*value)])
            });
            let meant = Args::Values(vec![Value::List(meant.collect())]);
            proptest::prop_assert_eq!(show(args), show(meant));
        }
    }

    #[test]
    fn every_form_that_is_well_written_is_taken(
        pairs in proptest::collection::vec(("\\PC{0,6}", "(?s).{0,6}"), 0..8),
    ) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let ty = list(Type::Tuple(vec![Type::String, Type::String]));
        let mut sent = request(&format!("POST / | {FORM}")).unwrap();
        sent.body = body.into();
        let args = WasiHttp.decode(sent, Some(&func([("p", ty)]))).unwrap();
        let meant = pairs.iter().map(|(name, value)| {
            Value::List(vec![Value::from(name.as_str()), Value::from(value.as_str())])
        });
        let meant = Args::Values(vec![Value::List(meant.collect())]);
        proptest::prop_assert_eq!(show(args), show(meant));
    }
}
