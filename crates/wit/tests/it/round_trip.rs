//! Round trips of generated values, in every form.

use std::collections::BTreeSet;

use crisol_core::{Args, Type, Value};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest,
};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wasmtime::component::Val;

use super::support::{Echo, lifted, mapping, only};
use super::types::{any_type, any_value, parse};

fn typed() -> impl Strategy<Value = (Type, Val)> {
    any_type().prop_flat_map(|ty| {
        let list = Type::List(Box::new(ty.clone()));
        (Just(ty), any_value(&list))
    })
}

/// Pieces of JSON, each with the number of bytes that it replaces.
fn tokens() -> impl Strategy<Value = (&'static str, usize)> {
    let pieces = [
        "",
        "null",
        "1",
        "-1",
        "1e999",
        "300",
        "0.5",
        "\"NaN\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "\"some\"",
        "{\"some\":",
        "\"a\":1,",
        "\\u0000",
        "\\ud800",
        "[]",
        "{}",
        "true",
    ];
    (prop::sample::select(pieces.to_vec()), 0..6_usize)
}

/// Shuffles the fields of records, and omits some that are null.
fn mixed(ty: &Type, value: Value, seed: &mut u64) -> Value {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    let picked = usize::try_from(*seed >> 40).unwrap();
    match (ty, value) {
        (Type::List(item) | Type::FixedList(item, _), Value::List(items)) => {
            Value::List(items.into_iter().map(|each| mixed(item, each, seed)).collect())
        }
        (Type::Tuple(types), Value::List(items)) => {
            let typed = types.iter().zip(items);
            Value::List(typed.map(|(ty, each)| mixed(ty, each, seed)).collect())
        }
        (Type::Option(some), Value::Map(fields)) if matches!(**some, Type::Record(_)) => {
            mixed(some, Value::Map(fields), seed)
        }
        (Type::Record(types), Value::Map(fields)) => {
            let typed = types.iter().zip(fields);
            let mut fields: Vec<_> =
                typed.map(|(field, (name, each))| (name, mixed(&field.ty, each, seed))).collect();
            if picked % 2 == 0 {
                fields.reverse();
            }
            let count = fields.len();
            fields.rotate_left(picked / 2 % count);
            if picked / 4 % 2 == 0 {
                fields.retain(|(_, each)| *each != Value::Null);
            }
            Value::Map(fields)
        }
        (_, other) => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every output form of a value reads back as the same value.
    #[test]
    fn every_output_form_reads_back((item, value) in typed()) {
        let mapping = mapping(&Type::List(Box::new(item)));
        let out = lifted(&mapping, value.clone());

        let text = serde_json::to_string(&(&out,)).unwrap();
        let mut direct = Vec::new();
        out.write_json(&mut direct).unwrap();
        prop_assert_eq!(String::from_utf8(direct).unwrap(), text[1..text.len() - 1].to_owned());
        prop_assert_eq!(&only(&mapping, &mapping.lower_json(text.as_bytes()).unwrap()), &value, "{}", text);

        let tree = out.to_value();
        // As text: NaN is not equal to itself.
        let serialized = Value::from_serialize(&out).unwrap();
        prop_assert_eq!(format!("{tree:?}"), format!("{serialized:?}"));
        let args = || vec![tree.clone()];
        prop_assert_eq!(&only(&mapping, &mapping.lower_args(Args::Values(args())).unwrap()), &value);
        prop_assert_eq!(&only(&mapping, &mapping.lower_serialize(&args()).unwrap()), &value);
        prop_assert_eq!(&only(&mapping, &mapping.lower_serialize(&(&out,)).unwrap()), &value);
        let packed = rmp_serde::to_vec_named(&(&out,)).unwrap();
        let mut source = rmp_serde::Deserializer::from_read_ref(&packed);
        prop_assert_eq!(&only(&mapping, &mapping.lower(&mut source).unwrap()), &value);
        let source = Args::source(Value::List(args()));
        prop_assert_eq!(&only(&mapping, &mapping.lower_args(source).unwrap()), &value);

        let read: Value = lifted(&mapping, value).deserialize().unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{tree:?}"));
    }

    /// Fields of records may come in any order, and null ones may be omitted.
    #[test]
    fn order_of_fields_does_not_matter((item, value) in typed(), mut seed in any::<u64>()) {
        let list = Type::List(Box::new(item));
        let mapping = mapping(&list);
        // As text, because JSON has no NaN.
        let text = serde_json::to_string(&lifted(&mapping, value.clone())).unwrap();
        let mixed = vec![mixed(&list, serde_json::from_str(&text).unwrap(), &mut seed)];
        let text = serde_json::to_string(&mixed).unwrap();
        let args = mapping.lower_args(Args::Values(mixed.clone())).unwrap();
        prop_assert_eq!(only(&mapping, &args), value, "{}", text);
        prop_assert_eq!(&mapping.lower_serialize(&mixed).unwrap(), &args, "{}", text);
        prop_assert_eq!(&mapping.lower_json(text.as_bytes()).unwrap(), &args, "{}", text);
    }

    /// Damaged text is refused with an error, or is a value that reads back like any other.
    #[test]
    fn damaged_text_is_refused_or_is_a_value(
        (item, value) in typed(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), tokens()), 1..4),
    ) {
        let mapping = mapping(&Type::List(Box::new(item)));
        let mut text = serde_json::to_vec(&(lifted(&mapping, value),)).unwrap();
        for (at, token) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + token.1).min(text.len());
            text.splice(at..end, token.0.bytes());
        }
        match mapping.lower_json(&text) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(values) => {
                let out = lifted(&mapping, only(&mapping, &values));
                let again = serde_json::to_string(&(out,)).unwrap();
                prop_assert_eq!(mapping.lower_json(again.as_bytes()).unwrap(), values);
            }
        }
    }

    #[test]
    fn type_matches_its_text(ty in any_type()) {
        prop_assert_eq!(parse(&ty.to_string()), ty);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// An echo guest returns the lowered value: the plan agrees with the component.
    #[test]
    fn echo_guest_returns_its_argument((item, value) in typed()) {
        let mut echo = Echo::of(&item);
        let list = Type::List(Box::new(item));
        prop_assert_eq!(echo.mapping.signature().result.as_ref(), Some(&list));
        let text = serde_json::to_string(&(lifted(&echo.mapping, value.clone()),)).unwrap();
        let args = echo.mapping.lower_json(text.as_bytes()).unwrap();
        let answer = echo.call(&args);
        prop_assert_eq!(&answer, &value);
        let back = serde_json::to_string(&(lifted(&echo.mapping, answer),)).unwrap();
        prop_assert_eq!(back, text);
    }
}

/// Kinds of types in `ty`, by the first word of each part.
fn kinds(ty: &Type, found: &mut BTreeSet<&'static str>) {
    let sides = |ok: &Option<Box<Type>>, err: &Option<Box<Type>>| match (ok, err) {
        (None, None) => "result",
        (Some(_), None) => "result<T>",
        (None, Some(_)) => "result<_, E>",
        (Some(_), Some(_)) => "result<T, E>",
    };
    let (kind, parts): (_, Vec<&Type>) = match ty {
        Type::Bool => ("bool", vec![]),
        Type::S8 => ("s8", vec![]),
        Type::U8 => ("u8", vec![]),
        Type::S16 => ("s16", vec![]),
        Type::U16 => ("u16", vec![]),
        Type::S32 => ("s32", vec![]),
        Type::U32 => ("u32", vec![]),
        Type::S64 => ("s64", vec![]),
        Type::U64 => ("u64", vec![]),
        Type::F32 => ("f32", vec![]),
        Type::F64 => ("f64", vec![]),
        Type::Char => ("char", vec![]),
        Type::String => ("string", vec![]),
        Type::List(item) if **item == Type::U8 => ("list<u8>", vec![]),
        Type::List(item) => ("list", vec![item]),
        Type::FixedList(item, _) if **item == Type::U8 => ("list<u8, N>", vec![]),
        Type::FixedList(item, _) => ("list<T, N>", vec![item]),
        Type::Map(key, value) if **key == Type::String => ("map<string, V>", vec![value]),
        Type::Map(key, value) => ("map", vec![key, value]),
        Type::Tuple(items) => ("tuple", items.iter().collect()),
        Type::Record(fields) if fields.len() > 12 => ("long record", vec![]),
        Type::Record(fields) => ("record", fields.iter().map(|field| &field.ty).collect()),
        Type::Variant(cases) => ("variant", cases.iter().filter_map(|it| it.ty.as_ref()).collect()),
        Type::Enum(_) => ("enum", vec![]),
        Type::Option(some) if matches!(**some, Type::Option(_)) => ("option<option>", vec![some]),
        Type::Option(some) => ("option", vec![some]),
        Type::Result { ok, err } => {
            (sides(ok, err), ok.iter().chain(err).map(|ty| &**ty).collect())
        }
        Type::Flags(names) if names.len() > 16 => ("flags of 4 bytes", vec![]),
        Type::Flags(names) if names.len() > 8 => ("flags of 2 bytes", vec![]),
        Type::Flags(_) => ("flags", vec![]),
        other => panic!("a kind of type that nothing here makes: {other}"),
    };
    found.insert(kind);
    for part in parts {
        kinds(part, found);
    }
}

#[test]
fn every_kind_of_type_is_made() {
    let mut found = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..2_000 {
        kinds(&any_type().new_tree(&mut runner).unwrap().current(), &mut found);
    }
    assert_eq!(found.len(), 33, "{found:?}");
}

/// Components allow 32 flags; the mapping allows any number.
#[test]
fn any_number_of_flags() {
    let names: Vec<String> = (0..100).map(|at| format!("f{at}")).collect();
    let mapping = mapping(&Type::Flags(names.clone()));
    let text = serde_json::to_string(&[[&names[99], &names[0], &names[64]]]).unwrap();
    let values = mapping.lower_json(text.as_bytes()).unwrap();
    let flags = ["f0", "f64", "f99"].map(str::to_owned).to_vec();
    let value = only(&mapping, &values);
    assert_eq!(value, Val::Flags(flags));
    let out = serde_json::to_string(&lifted(&mapping, value)).unwrap();
    assert_eq!(out, r#"["f0","f64","f99"]"#);
}
