//! Tests of values through Lua: JSON to Lua and back.

use crisol_core::Value;
use crisol_lua::EntryPoint;
use proptest::prelude::*;

use crate::support::{Tested, program, run, run_for};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>()
            .prop_filter("JSON has finite numbers", |n| n.is_finite())
            .prop_map(Value::Float),
        ".{0,12}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let names = prop::collection::btree_map("[a-z0-9 é]{0,6}", inner.clone(), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::List),
            names.prop_map(|map| Value::Map(
                map.into_iter().map(|(k, v)| (Value::Text(k), v)).collect()
            )),
        ]
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn json_is_the_same_after_lua(value in json()) {
        let text = value.to_string();
        let source = "local json = require('json') return (json.encode((json.decode(...))))";
        let entry = program(source, EntryPoint::Script);
        let back = block_on(run_for(10_000, &entry, &[Value::Text(text.clone())]))?;
        prop_assert_eq!(back.map_err(|e| TestCaseError::fail(e.to_string()))?, Value::Text(text));
    }

    #[test]
    fn an_argument_comes_back_from_a_call_as_it_was(value in json()) {
        // Inside a list, since a null in a map would be left out.
        let list = Value::List(vec![value]);
        let source = "local v, e = require('funcs').call('n:echo', ...) return v, e";
        let entry = program(source, EntryPoint::Script);
        let back = block_on(run_for(10_000, &entry, std::slice::from_ref(&list)))?;
        prop_assert_eq!(back.map_err(|e| TestCaseError::fail(e.to_string()))?, without_nulls(list));
    }
}

/// Returns the value without map entries that are null, which are left out on the way into Lua.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(without_nulls).collect()),
        Value::Map(pairs) => {
            let kept = pairs.into_iter().filter(|(_, value)| *value != Value::Null);
            Value::Map(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
}

#[tokio::test]
async fn lua_values_have_values_outside() -> Tested {
    let cases = [
        ("return {}", "{}"),
        ("return require('json').decode('[]')", "[]"),
        ("return {1, 2.0, 'x'}", r#"[1,2.0,"x"]"#),
        ("return {a = 1, [2] = 3}", r"{"),
        ("return require('json').null", "null"),
        ("return {1, require('json').null, 3}", "[1,null,3]"),
        ("return math.maxinteger", "9223372036854775807"),
        ("return 3 // 1", "3"),
        ("return '\\xff'", "[255]"),
        ("return {[10] = 'x'}", ""),
    ];
    for (script, expected) in cases {
        let value = run(script).await?.to_string();
        assert!(value.starts_with(expected), "{script}: {value}");
    }
    let mixed = run("return {1, 2, a = 3}").await;
    assert!(format!("{mixed:?}").contains("both positions and names"), "{mixed:?}");
    let large =
        run_for(9000, &program("return ...", EntryPoint::Script), &[Value::UInt(u64::MAX)]).await;
    assert!(
        format!("{large:?}").contains("18446744073709551615 exceeds the range of Lua's integers"),
        "{large:?}"
    );
    Ok(())
}
