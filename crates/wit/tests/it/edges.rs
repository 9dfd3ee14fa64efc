//! Edges of the mapping: counts, names, Rust's own types, refusals at load, and limits.

use std::collections::BTreeMap;

use crisol_core::{Args, Field, Reply, Signature, Value};
use crisol_wit::{Mapping, Outcome, UnsupportedType};
use expect_test::{Expect, expect};
use serde::{Deserialize, Serialize};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Val};

use super::support::{engine, function, lifted, mapping, only};
use super::types::parse;

fn func(params: &[(&str, &str)], result: Option<&str>) -> Mapping {
    let field = |(name, ty): &(&str, &str)| Field { name: (*name).to_owned(), ty: parse(ty) };
    let params = params.iter().map(field).collect();
    Mapping::from_signature(Signature { params, result: result.map(parse) }).unwrap()
}

fn check<T: Serialize>(mapping: &Mapping, args: &T, expected: &Expect) {
    let found = match mapping.lower_serialize(args) {
        Ok(args) => format!("{:?}", mapping.unpack_args(&args)),
        Err(error) => format!("! {error}"),
    };
    expected.assert_eq(&found);
}

#[test]
fn arguments_are_counted() {
    let add = func(&[("a", "s32"), ("b", "s32")], Some("s32"));
    check(&add, &(6, 7), &expect!["[S32(6), S32(7)]"]);
    check(&add, &[6, 7], &expect!["[S32(6), S32(7)]"]);
    check(&add, &(1, 2, 3), &expect!["! expected 2 arguments (a: s32, b: s32), found 3"]);
    check(&add, &(1,), &expect!["! expected 2 arguments (a: s32, b: s32), found 1"]);
    check(&add, &(), &expect!["! expected 2 arguments (a: s32, b: s32), found 0"]);
    check(&add, &5, &expect!["! expected a list of arguments, found number 5"]);
    check(&func(&[], None), &(), &expect!["[]"]);
    check(&func(&[], None), &(1,), &expect!["! expected no arguments, found 1"]);
    let json = |text: &str| add.lower_json(text.as_bytes()).map_err(|error| error.to_string());
    assert_eq!(json("[1,2,3,4]").unwrap_err(), "expected 2 arguments (a: s32, b: s32), found 4");
    assert_eq!(json("null").unwrap_err(), "expected 2 arguments (a: s32, b: s32), found 0");
    assert_eq!(json("{\"a\":1}").unwrap_err(), "expected a list of arguments, found a map");
    assert_eq!(
        json("[1,2] 3").unwrap_err(),
        "malformed arguments: trailing characters at line 1 column 7"
    );
}

#[test]
fn options_at_the_end_may_be_left_out() {
    let greet = func(&[("name", "string"), ("title", "option<string>")], None);
    check(&greet, &("Ann",), &expect![[r#"[String("Ann"), Option(None)]"#]]);
    check(
        &greet,
        &(),
        &expect!["! expected 1 to 2 arguments (name: string, title: option<string>), found 0"],
    );
    let args = greet.lower_json(b"[\"Ann\"]").unwrap();
    assert_eq!(greet.unpack_args(&args).len(), 2);
}

#[test]
fn a_struct_gives_arguments_by_name() {
    #[derive(Serialize)]
    struct Named {
        last_name: &'static str,
        id: u8,
    }
    let named = Named { last_name: "Hu", id: 1 };
    let save = func(&[("id", "u32"), ("last-name", "string")], None);
    check(&save, &named, &expect![[r#"[U32(1), String("Hu")]"#]]);
    let other = func(&[("id", "u32"), ("name", "string")], None);
    check(&other, &named, &expect!["! unknown field `last_name`: expected one of `id`, `name`"]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(f64),
    Box(u8, u8),
    NamedBox { width: u8, tag_count: Option<u8> },
}

#[test]
fn rust_enums_go_both_ways_by_their_own_names() {
    let ty = "list<variant { dot, circle(f64), box(tuple<u8, u8>), named-box(record { width: u8, tag-count: option<u8> }) }>";
    let shapes = mapping(&parse(ty));
    let all = || {
        vec![
            Shape::Dot,
            Shape::Circle(1.5),
            Shape::Box(1, 2),
            Shape::NamedBox { width: 3, tag_count: Some(4) },
        ]
    };
    let args = shapes.lower_serialize(&(all(),)).unwrap();
    let json = r#"[["dot",{"circle":1.5},{"box":[1,2]},{"named-box":{"width":3,"tag_count":4}}]]"#;
    assert_eq!(args, shapes.lower_json(json.as_bytes()).unwrap());
    let back: Vec<Shape> = lifted(&shapes, only(&shapes, &args)).deserialize().unwrap();
    assert_eq!(back, all());

    #[derive(Serialize)]
    enum Other {
        Circle(&'static str),
        Oval,
    }
    check(
        &shapes,
        &(vec![Other::Circle("x")],),
        &expect![[r#"! argument 1 (x)[0].circle: expected f64, found string "x""#]],
    );
    check(
        &shapes,
        &([Other::Oval],),
        &expect![
            "! argument 1 (x)[0]: unknown case `Oval`: expected one of `dot`, `circle`, `box`, `named-box`"
        ],
    );
}

#[test]
fn rust_results_options_and_maps_go_both_ways() {
    type All = (Result<u8, String>, Option<Option<u8>>, BTreeMap<u32, String>, Vec<u8>, char);
    let mapping = mapping(&parse(
        "tuple<result<u8, string>, option<option<u8>>, map<u32, string>, list<u8>, char>",
    ));
    let all: [All; 2] = [
        (Ok(1), Some(None), BTreeMap::from([(1, "one".to_owned())]), vec![1, 2], 'x'),
        (Err("no".to_owned()), Some(Some(5)), BTreeMap::new(), vec![], '☃'),
    ];
    for value in all {
        let args = mapping.lower_serialize(&(&value,)).unwrap();
        let back: All = lifted(&mapping, only(&mapping, &args)).deserialize().unwrap();
        assert_eq!(back, value);
    }
}

#[test]
fn top_level_result_is_split() {
    let mapping = func(&[], Some("result<u8, record { status: u16 }>"));
    let lift = |side| mapping.lift(mapping.pack_result(Some(Val::Result(side))));
    let Outcome::Value(ok) = lift(Ok(Some(Box::new(Val::U8(5))))) else {
        panic!("not the value");
    };
    assert_eq!(ok.to_value(), Value::Int(5));
    let mut text = Vec::new();
    Reply::from(ok).write_json(&mut text).unwrap();
    assert_eq!(text, b"5");
    let status = Val::Record(vec![("status".to_owned(), Val::U16(404))]);
    let Outcome::Error(err) = lift(Err(Some(Box::new(status)))) else {
        panic!("not the error");
    };
    assert_eq!(err.to_value().get("status"), Some(&Value::Int(404)));
    let unit = func(&[], Some("result"));
    let unit = unit.lift(unit.pack_result(Some(Val::Result(Ok(None))))).into_result().unwrap();
    assert_eq!(serde_json::to_string(&unit).unwrap(), "null");
    let nothing = func(&[], None).lift(None).into_result().unwrap();
    assert_eq!(nothing.to_value(), Value::Null);
    nothing.deserialize::<()>().unwrap();
}

#[test]
fn unreadable_value_is_named() {
    #[derive(Debug, Deserialize)]
    struct User {
        #[expect(dead_code, reason = "only the error matters")]
        tags: Vec<u8>,
    }
    let users = mapping(&parse("list<record { tags: list<string> }>"));
    let args = users.lower_json(br#"[[{"tags":[]},{"tags":["a"]}]]"#).unwrap();
    let error = lifted(&users, only(&users, &args)).deserialize::<Vec<User>>();
    assert_eq!(
        error.unwrap_err().to_string(),
        "result[1].tags[0]: invalid type: string \"a\", expected u8"
    );
}

#[test]
fn floats_that_json_lacks_are_text_only_where_people_read() {
    let floats = mapping(&parse("list<f64>"));
    let args = floats.lower_json(br#"[["NaN", "-Infinity"]]"#).unwrap();
    let out = lifted(&floats, only(&floats, &args));
    assert_eq!(serde_json::to_string(&out).unwrap(), r#"["NaN","-Infinity"]"#);
    match out.to_value() {
        Value::List(items) => {
            assert!(matches!(items.first(), Some(Value::Float(nan)) if nan.is_nan()));
        }
        other => panic!("{other}"),
    }
}

/// Source that claims more items than it has.
struct Liar;

impl<'de> serde::Deserializer<'de> for Liar {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(LiarSeq(1))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct LiarSeq(usize);

impl<'de> serde::de::SeqAccess<'de> for LiarSeq {
    type Error = serde::de::value::Error;

    fn next_element_seed<T: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        seed.deserialize(Liar).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::MAX)
    }
}

#[test]
fn claimed_size_allocates_nothing() {
    let mapping = mapping(&parse("list<list<list<u8>>>"));
    let error = mapping.lower(Liar).unwrap_err();
    assert_eq!(error.to_string(), "argument 1 (x)[0][0][0]: expected u8, found a list");
}

#[test]
fn fields_left_out_do_not_multiply() {
    let fields: Vec<String> =
        (0..1_000).map(|at| format!("a-rather-long-name-{at}: option<u8>")).collect();
    let mapping = mapping(&parse(&format!("list<record {{ {} }}>", fields.join(", "))));
    let many = format!("[[{}{{}}]]", "{},".repeat(300_000));
    let error = mapping.lower_json(many.as_bytes()).unwrap_err();
    assert!(error.to_string().ends_with("omit fewer fields or send less"), "{error}");
    let some = format!("[[{}{{}}]]", "{},".repeat(200));
    let args = mapping.lower_json(some.as_bytes()).unwrap();
    assert_eq!(mapping.unpack_args(&args).len(), 1);
}

/// Each record may omit a few fields, in any number of records.
#[test]
fn many_small_records_may_leave_all_out() {
    let mapping = mapping(&parse("list<record { a: option<u8>, b: option<u8>, c: option<u8> }>"));
    // More than the initial grant of a call covers.
    let text = format!("[[{}{{}}]]", "{},".repeat(320_000));
    let values = mapping.lower_json(text.as_bytes()).unwrap();
    let value = only(&mapping, &values);
    assert!(matches!(value, Val::List(records) if records.len() == 320_001));
}

#[test]
fn deep_text_ends_in_an_error() {
    let mapping = mapping(&parse("list<u8>"));
    let deep = "[".repeat(1_000_000);
    assert!(mapping.lower_json(deep.as_bytes()).is_err());
    let deep = format!("[[1],{}", "[".repeat(1_000_000));
    assert!(mapping.lower_json(deep.as_bytes()).is_err());
}

#[test]
fn type_without_plain_values_is_refused_at_load() {
    let refused = |ty: &str| {
        let text = format!(
            "(component
               (import \"r\" (type $r (sub resource)))
               (import \"f\" (func {ty})))"
        );
        let bytes = crisol_wit::parse_text(&text, None).unwrap();
        let component = Component::new(engine(), bytes).unwrap();
        let ty = component.component_type();
        match ty.get_import(engine(), "f").map(|import| import.ty) {
            Some(ComponentItem::ComponentFunc(func)) => {
                Mapping::new(&func).unwrap_err().to_string()
            }
            _ => panic!("the import is a function"),
        }
    };
    expect!["parameter 1 (x) is a resource, which cannot be passed as a plain value"]
        .assert_eq(&refused("(param \"x\" (own $r))"));
    expect!["parameter 2 (y).1[] is a borrowed resource, which cannot be passed as a plain value"]
        .assert_eq(&refused("(param \"x\" u8) (param \"y\" (tuple u8 (list (borrow $r))))"));
    expect!["the result is a resource, which cannot be passed as a plain value"]
        .assert_eq(&refused("(result (own $r))"));
}

#[test]
fn a_signature_that_spells_out_too_long_is_refused() {
    // In the component the types are shared, and small.
    let mut defs = String::from("type a0 = u8;");
    for at in 1..17 {
        defs.push_str(&format!("record a{at} {{ x: a{0}, y: a{0} }}", at - 1));
    }
    let wit = format!("{defs} echo: func(x: list<a16>) -> list<a16>;");
    let module = crisol_wit::parse_text(
        r#"(module (memory (export "memory") 1)
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
             (func (export "echo") (param i32 i32) (result i32) unreachable))"#,
        None,
    )
    .unwrap();
    let wrapped = crisol_wit::wrap(&module, Some(&wit), "echo").unwrap();
    let component = Component::new(engine(), wrapped.component).unwrap();
    let error = function(&component, "echo").unwrap_err();
    assert!(matches!(error, UnsupportedType::TooLarge { .. }), "{error}");
}

#[test]
fn erased_sources_give_the_same_errors() {
    let mapping = mapping(&parse("list<u8>"));
    let mut reader = serde_json::Deserializer::from_str("[[1, 256]]");
    let error = mapping.lower_args(Args::source(&mut reader)).unwrap_err();
    assert_eq!(error.to_string(), "argument 1 (x)[1]: expected u8 (0 to 255), found number 256");
}
