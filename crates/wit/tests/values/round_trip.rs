//! Values of generated types come back as they went, by every way there is.

use crisol_core::{Args, Type, Value};
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, proptest};
use wasmtime::component::Val;

use super::support::{Echo, lifted, mapping};
use super::types::{any_type, any_value, parse};

fn typed() -> impl Strategy<Value = (Type, Val)> {
    any_type().prop_flat_map(|ty| {
        let list = Type::List(Box::new(ty.clone()));
        (Just(ty), any_value(&list))
    })
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
