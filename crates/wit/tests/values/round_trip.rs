//! Values of generated types come back as they went, by every way there is.

use crisol_core::{Args, Type, Value};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest,
};
use wasmtime::component::Val;

use super::support::{Echo, lifted, mapping};
use super::types::{any_type, any_value, parse};

fn typed() -> impl Strategy<Value = (Type, Val)> {
    any_type().prop_flat_map(|ty| {
        let list = Type::List(Box::new(ty.clone()));
        (Just(ty), any_value(&list))
    })
}

/// Pieces of JSON, and how many bytes each takes the place of.
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every form that a value can leave in comes in again as the very same value.
    #[test]
    fn what_goes_out_comes_in((item, value) in typed()) {
        let mapping = mapping(&Type::List(Box::new(item)));
        let out = lifted(&mapping, value.clone());

        let text = serde_json::to_string(&(&out,)).unwrap();
        prop_assert_eq!(&mapping.lower_json(text.as_bytes()).unwrap(), std::slice::from_ref(&value), "{}", text);

        let tree = out.to_value();
        // By their text: NaN is not equal to itself.
        let serialized = Value::from_serialize(&out).unwrap();
        prop_assert_eq!(format!("{tree:?}"), format!("{serialized:?}"));
        let args = || vec![tree.clone()];
        prop_assert_eq!(&mapping.lower_args(Args::Values(args())).unwrap(), std::slice::from_ref(&value));
        prop_assert_eq!(&mapping.lower_serialize(&args()).unwrap(), std::slice::from_ref(&value));
        prop_assert_eq!(&mapping.lower_serialize(&(&out,)).unwrap(), std::slice::from_ref(&value));
        let source = Args::source(Value::List(args()));
        prop_assert_eq!(&mapping.lower_args(source).unwrap(), std::slice::from_ref(&value));

        let read: Value = lifted(&mapping, value).deserialize().unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{tree:?}"));
    }

    /// Text that was tampered with is refused in words, or is a value that goes round like any other.
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
                let out = lifted(&mapping, values[0].clone());
                let again = serde_json::to_string(&(out,)).unwrap();
                prop_assert_eq!(mapping.lower_json(again.as_bytes()).unwrap(), values);
            }
        }
    }

    #[test]
    fn a_type_is_what_its_text_says(ty in any_type()) {
        prop_assert_eq!(parse(&ty.to_string()), ty);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A guest takes what was lowered and gives it back: the plan agrees with the component.
    #[test]
    fn a_guest_gives_back_what_it_gets((item, value) in typed()) {
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
