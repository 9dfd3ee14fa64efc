//! Results of another type: every output refuses them with the same error, and none panics.

use std::collections::BTreeMap;
use std::fmt;

use crisol_core::{Type, Value};
use crisol_wit::{Lifted, Mapping, Outcome, Packed};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, proptest};
use proptest::prop_oneof;
use proptest::test_runner::TestCaseError;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::support::mapping;
use super::types::{any_type, any_value, parse};

const STRANGE: &str = "the value does not match the result type of the function";

fn both_sides(outcome: Outcome) -> Lifted {
    match outcome.into_result() {
        Ok(lifted) | Err(lifted) => lifted,
    }
}

fn out_of(mapping: &Mapping, bytes: &[u8]) -> Lifted {
    both_sides(mapping.lift(Some(Packed::from(bytes.to_vec()))))
}

/// Mostly small counts, discriminants and lengths, and some random bytes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => 0..3_u8, 2 => Just(b'a'), 1 => any::<u8>()];
    prop::collection::vec(byte, 0..80)
}

/// Checks that all outputs agree on the value, or on its absence; returns true for a value.
fn agree(mapping: &Mapping, lift: impl Fn() -> Lifted) -> Result<bool, TestCaseError> {
    let lifted = lift();
    let by_serde = Value::from_serialize(&lifted);
    let by_type = lift().deserialize::<Value>();
    let tree = lifted.to_value();
    let wave = lifted.to_wave();
    let _ = rmp_serde::to_vec_named(&lifted);
    let mut json = Vec::new();
    let by_json = lifted.write_json(&mut json);
    let text = serde_json::to_string(&lifted);
    prop_assert_eq!(
        by_json.map_err(|error| error.to_string()).err(),
        text.as_ref().map_err(ToString::to_string).err()
    );
    if let Ok(text) = &text {
        prop_assert_eq!(&String::from_utf8(json).unwrap(), text);
    }
    match (&by_serde, by_type) {
        (Ok(written), Ok(read)) => {
            prop_assert_eq!(format!("{:?}", written), format!("{:?}", tree));
            prop_assert_eq!(format!("{:?}", read), format!("{:?}", tree));
            let again = mapping.lower_wave(&format!("({wave})"));
            prop_assert_eq!(again.err(), None, "{}", wave);
        }
        (Err(written), Err(read)) => {
            prop_assert_eq!(written.to_string(), STRANGE);
            prop_assert_eq!(read.to_string().ends_with(STRANGE), true, "{}", read);
            prop_assert_eq!(tree, Value::Null);
            prop_assert_eq!(wave, "");
            prop_assert_eq!(text.unwrap_err().to_string(), STRANGE);
        }
        (written, read) => panic!("written: {written:?}, read: {read:?}"),
    }
    Ok(by_serde.is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_or_a_value(ty in any_type(), bytes in bytes()) {
        // In a tuple, because a top-level `result` is split.
        let mapping = mapping(&Type::Tuple(vec![ty]));
        agree(&mapping, || out_of(&mapping, &bytes))?;
    }

    #[test]
    fn result_of_another_function_is_refused_or_a_value(
        ty in any_type(),
        value in any_type().prop_flat_map(|ty| {
            let values = any_value(&ty);
            (Just(ty), values)
        }),
    ) {
        let (other, value) = value;
        let packed = mapping(&other).pack_result(Some(value));
        let mapping = mapping(&Type::Tuple(vec![ty]));
        agree(&mapping, || both_sides(mapping.lift(packed.clone())))?;
    }
}

#[test]
fn each_kind_of_malformed_value_is_refused() {
    let cases: [(&str, &[u8]); 22] = [
        ("bool", &[]),
        ("u16", &[1]),
        ("s32", &[1, 0, 0]),
        ("f64", &[0; 7]),
        ("char", &[0, 0xd8, 0, 0]),
        ("char", &[0, 0, 0x11, 0]),
        ("string", &[1, 0, 0, 0, 0xff]),
        ("string", &[2, 0, 0, 0, b'a']),
        ("string", &[2, 0, 0]),
        ("list<u8>", &[0xff; 4]),
        ("list<u8, 4>", &[1, 2, 3]),
        ("list<string>", &[0xff; 8]),
        ("list<u16, 2>", &[1, 0, 2]),
        ("map<string, u8>", &[1, 0, 0, 0, 1, 0, 0, 0, b'a']),
        ("map<u8, u8>", &[0xff; 9]),
        ("tuple<u8, u8>", &[1]),
        ("record { a: u8, b: bool }", &[1]),
        ("variant { a, b(u8) }", &[2]),
        ("variant { a, b(u8) }", &[1]),
        ("enum { a, b }", &[2]),
        ("option<u8>", &[1]),
        ("flags { a, b, c, d, e, f, g, h, i }", &[1]),
    ];
    for (ty, bytes) in cases {
        let mapping = mapping(&parse(&format!("tuple<{ty}>")));
        let is_value = agree(&mapping, || out_of(&mapping, bytes)).unwrap();
        assert!(!is_value, "{ty} {bytes:?}");
    }
    // Top-level result without even the byte of its side.
    let result = mapping(&parse("result<u8, u8>"));
    assert!(!agree(&result, || both_sides(result.lift(None))).unwrap());
}

/// Number of items that a source claims.
#[derive(Debug)]
struct Claimed;

impl<'de> Deserialize<'de> for Claimed {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Claimed {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self, A::Error> {
        Err(A::Error::custom(format_args!("asked to hold {:?}", items.size_hint())))
    }

    fn visit_map<A: MapAccess<'de>>(self, items: A) -> Result<Self, A::Error> {
        Err(A::Error::custom(format_args!("asked to hold {:?}", items.size_hint())))
    }
}

/// Impossible counts are not passed on as size hints.
#[test]
fn impossible_item_count_is_rejected() {
    for ty in ["list<string>", "map<string, u8>", "map<u8, u8>", "list<u8, 99>", "list<bool, 99>"] {
        let mapping = mapping(&parse(ty));
        let error = out_of(&mapping, &[0xff; 8]).deserialize::<Claimed>().unwrap_err();
        assert_eq!(error.to_string(), format!("result: {STRANGE}"), "{ty}");
    }
    let mapping = mapping(&parse("list<bool>"));
    let error = out_of(&mapping, &[2, 0, 0, 0, 0, 1]).deserialize::<Claimed>().unwrap_err();
    assert_eq!(error.to_string(), "result: asked to hold Some(2)");
}

/// A count alone is no reason for refusal, because items may have size zero.
#[test]
fn items_without_bytes_are_items() {
    let mapping = mapping(&parse("list<tuple<>>"));
    assert_eq!(serde_json::to_string(&out_of(&mapping, &[3, 0, 0, 0])).unwrap(), "[[],[],[]]");
}

/// Unread parts are skipped, and the next part is read from its own place.
#[test]
fn a_type_may_leave_parts_unread() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Last {
        last: String,
    }
    let ty = "list<record { list: list<string>, map: map<string, u8>, case: variant { a(string) }, \
              none: option<u8>, flags: flags { x, y }, last: string }>";
    let mapping = mapping(&parse(ty));
    let text =
        br#"[[{"list":["a","b"],"map":{"k":1},"case":{"a":"z"},"none":5,"flags":["y"],"last":"1"},
                     {"list":[],"map":{},"case":{"a":""},"flags":[],"last":"2"}]]"#;
    let args = mapping.lower_json(text).unwrap();
    let lift = || {
        both_sides(mapping.lift(mapping.pack_result(mapping.unpack_args(&args).first().cloned())))
    };
    let last = |text: &str| Last { last: text.to_owned() };
    assert_eq!(lift().deserialize::<Vec<Last>>().unwrap(), [last("1"), last("2")]);
    // Items beyond the length of a tuple.
    assert_eq!(lift().deserialize::<(Last,)>().unwrap(), (last("1"),));
    let any: Vec<BTreeMap<String, IgnoredAny>> = lift().deserialize().unwrap();
    assert_eq!(any.iter().map(BTreeMap::len).collect::<Vec<_>>(), [6, 6]);

    #[derive(Debug, PartialEq, Deserialize)]
    struct First {
        list: ((),),
        last: String,
    }
    let ty = "list<record { list: list<option<string>>, last: string }>";
    let mapping = super::support::mapping(&parse(ty));
    let args = mapping.lower_json(br#"[[{"list":[null,"b","c"],"last":"1"}]]"#).unwrap();
    let lifted =
        both_sides(mapping.lift(mapping.pack_result(mapping.unpack_args(&args).first().cloned())));
    let first = First { list: ((),), last: "1".to_owned() };
    assert_eq!(lifted.deserialize::<Vec<First>>().unwrap(), [first]);
}
