//! Hostile arguments: messages stay short for any input.

use std::fmt::Write as _;

use crisol_core::Value;

use super::support::mapping;
use super::types::parse;

const MOST: usize = 1_000;

fn short(message: &str) {
    assert!(!message.is_empty() && message.len() < MOST, "{} bytes", message.len());
}

#[test]
fn messages_have_a_bounded_length() {
    let long = "x".repeat(1 << 20);
    let types = [
        "u8",
        "f64",
        "char",
        "enum { a, b }",
        "flags { a, b }",
        "variant { a, b(u8) }",
        "record { a: u8 }",
        "list<bool>",
        "tuple<u8, u8>",
        "result<u8, u8>",
        "option<option<u8>>",
        "map<u8, u8>",
        "map<string, u8>",
    ];
    for ty in types {
        // In a tuple, because a top-level result is split.
        let mapping = mapping(&parse(&format!("tuple<{ty}>")));
        let digits = "9".repeat(1 << 16);
        for json in [
            format!("[[\"{long}\"]]"),
            format!("[[{{\"{long}\": 1}}]]"),
            format!("[[[\"{long}\"]]]"),
            format!("[[{digits}]]"),
            format!("[[-{digits}]]"),
            format!("[[0.4{digits}]]"),
        ] {
            match mapping.lower_json(json.as_bytes()) {
                Ok(_) => {
                    assert!(["f64", "map<string, u8>"].contains(&ty), "{ty} takes {}", &json[..20])
                }
                Err(error) => short(&error.to_string()),
            }
        }
        for value in [
            Value::from(long.as_str()),
            Value::Bytes(long.clone().into_bytes()),
            Value::List(vec![Value::from(long.as_str())]),
            Value::Map(vec![(Value::from(long.as_str()), Value::from(long.as_str()))]),
            Value::Map(vec![(Value::Bytes(long.clone().into_bytes()), Value::Null)]),
        ] {
            let args = [[value]];
            short(&mapping.lower_serialize(&args).unwrap_err().to_string());
            let tree = Value::from_serialize(&args).unwrap();
            short(&mapping.lower(&tree).unwrap_err().to_string());
        }
        for wave in [
            format!("(({digits}z))"),
            format!("((\"{long}\"))"),
            format!("(({long}))"),
            format!("(({long}(1)))"),
            format!("(({{{long}: 1}}))"),
            format!("(({{{long}}}))"),
            format!("((true, {digits}))"),
        ] {
            short(&mapping.lower_wave(&wave).unwrap_err().to_string());
        }
    }
}

#[test]
fn messages_do_not_grow_with_the_signature() {
    let mut fields = String::new();
    for at in 0..2_000 {
        let _ = write!(fields, "field-{at}: option<u8>, ");
    }
    let record = mapping(&parse(&format!("record {{ {fields} }}")));
    for json in ["[]", "[1, 2]", "[5]", "[{\"a\": 1}]", "[{\"field-7\": 500}]", "[", "5"] {
        short(&record.lower_json(json.as_bytes()).unwrap_err().to_string());
    }
    let many: Vec<crisol_core::Field> = (0..1_000)
        .map(|at| crisol_core::Field { name: format!("p{at}"), ty: parse("u8") })
        .collect();
    let many = crisol_core::Signature { params: many, result: None };
    let many = crisol_wit::Mapping::from_signature(many).unwrap();
    short(&many.lower_json(b"[]").unwrap_err().to_string());
    short(&many.lower_wave("()").unwrap_err().to_string());
}

#[test]
fn a_flood_of_unknown_fields_ends_at_the_first() {
    let record = mapping(&parse("record { id: u32 }"));
    let mut json = String::from("[{");
    for at in 0..100_000 {
        let _ = write!(json, "\"f{at}\":1,");
    }
    json.push_str("\"id\":1}]");
    let error = record.lower_json(json.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "argument 1 (x): unknown field `f0`: expected one of `id`");
}
