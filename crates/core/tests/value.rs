//! `Value` compared with serde_json's own tree: both must read, print and refuse the same.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

use crisol_core::Value;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Line(f64),
    Rect(u8, u8),
    Named { name: String, tags: Option<Vec<String>> },
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no NaN", |f| f.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map(".*", inner, 0..6).prop_map(|map| {
                Value::Map(map.into_iter().map(|(key, value)| (key.into(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_tree_survives_json(tree in value()) {
        let text = tree.to_string();
        prop_assert_eq!(serde_json::from_str::<Value>(&text)?, tree);
    }

    #[test]
    fn a_tree_survives_itself(tree in value()) {
        prop_assert_eq!(&Value::from_serialize(&tree)?, &tree);
        prop_assert_eq!(&Value::deserialize(&tree)?, &tree);
    }
}

#[test]
fn rust_types_go_in_and_come_out() -> Result<(), Box<dyn std::error::Error>> {
    let shapes = vec![
        Shape::Dot,
        Shape::Line(0.5),
        Shape::Rect(1, 2),
        Shape::Named { name: "n".into(), tags: Some(vec!["t".into()]) },
        Shape::Named { name: "n".into(), tags: None },
    ];
    let tree = Value::from_serialize(&shapes)?;
    assert_eq!(tree.to_string(), serde_json::to_string(&shapes)?);
    assert_eq!(Vec::<Shape>::deserialize(&tree)?, shapes);
    assert_eq!(Vec::<Shape>::deserialize(tree)?, shapes);
    Ok(())
}

#[test]
fn values_that_do_not_fit_are_refused() {
    assert!(Value::from_serialize(&i128::MIN).is_err());
    assert!(Shape::deserialize(Value::from("Line")).is_err());
    assert!(Shape::deserialize(Value::Map(vec![("Dot".into(), 1_i64.into())])).is_err());
    assert_eq!(Value::from(u64::MAX), Value::UInt(u64::MAX));
    assert_eq!(Value::from(7_u64), Value::Int(7));
}
