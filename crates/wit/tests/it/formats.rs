//! The same argument in every format gives the same value or the same error; `golden/formats.txt` has the exceptions,
//! where a format cannot express it. `BLESS=1` writes the file.

use crisol_core::{Args, Value};
use crisol_wit::{LowerError, Mapping, Packed};
use expect_test::{Expect, expect};
use mlua::{Lua, LuaSerdeExt};
use wasmtime::component::Val;

use super::golden::{cases, path};
use super::support::mapping;
use super::types::parse;

type Lowered = Result<Packed, LowerError>;

fn by_messagepack(mapping: &Mapping, args: &serde_json::Value) -> Lowered {
    let bytes = rmp_serde::to_vec_named(args).unwrap();
    mapping.lower(&mut rmp_serde::Deserializer::from_read_ref(&bytes))
}

/// Parses JSON as YAML.
fn by_yaml(mapping: &Mapping, text: &str) -> Lowered {
    let mut lowered = None;
    let read = serde_yaml::with_deserializer_from_str(text, |source| {
        lowered = Some(mapping.lower(source));
        Ok(())
    });
    lowered.unwrap_or_else(|| panic!("{text}: {read:?}"))
}

fn by_lua(mapping: &Mapping, args: &serde_json::Value) -> Lowered {
    let lua = Lua::new();
    mapping.lower(mlua::serde::Deserializer::new(lua.to_value(args).unwrap()))
}

fn by_tree(mapping: &Mapping, text: &str) -> Lowered {
    mapping.lower_args(Args::Values(serde_json::from_str::<Vec<Value>>(text).unwrap()))
}

fn by_erased(mapping: &Mapping, text: &str) -> Lowered {
    mapping.lower_args(Args::source(&mut serde_json::Deserializer::from_str(text)))
}

/// Sorts the pairs of maps: a Lua table has no order.
fn in_order(value: &mut Val) {
    match value {
        Val::Map(pairs) => {
            pairs.sort_by_key(|(key, _)| format!("{key:?}"));
            pairs.iter_mut().for_each(|(_, value)| in_order(value));
        }
        Val::List(values) | Val::Tuple(values) => values.iter_mut().for_each(in_order),
        Val::Option(Some(value)) => in_order(value),
        _ => {}
    }
}

fn shown(mapping: &Mapping, lowered: &Lowered) -> String {
    match lowered {
        Ok(values) => {
            let mut values = mapping.unpack_args(values);
            values.iter_mut().for_each(in_order);
            format!("{values:?}")
        }
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn all_formats_agree() {
    let mut differ = String::new();
    let mut compared = 0;
    for (ty, argument) in cases("accept.txt").chain(cases("reject.txt")) {
        let text = format!("[{argument}]");
        let Ok(args) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        let mapping = mapping(&parse(&ty));
        let json = shown(&mapping, &mapping.lower_json(text.as_bytes()));
        let others = [
            ("serde", mapping.lower_serialize(&args)),
            ("value", by_tree(&mapping, &text)),
            ("erased", by_erased(&mapping, &text)),
            ("messagepack", by_messagepack(&mapping, &args)),
            ("yaml", by_yaml(&mapping, &text)),
            ("lua", by_lua(&mapping, &args)),
        ];
        for (format, lowered) in others {
            compared += 1;
            let answer = shown(&mapping, &lowered);
            if answer != json {
                let instead =
                    format!("{ty} {argument}\n  json => {json}\n  {format} => {answer}\n");
                differ.push_str(&instead);
            }
        }
    }
    assert!(compared > 900, "{compared}");
    let path = path("formats.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, differ).unwrap();
    } else {
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(differ, golden, "BLESS=1 rewrites {}", path.display());
    }
}

/// Checks the arguments that a Lua script passes.
fn lua(ty: &str, script: &str, expected: &Expect) {
    let lua = Lua::new();
    let value: mlua::Value = lua.load(format!("{{ {script} }}")).eval().unwrap();
    let mapping = mapping(&parse(ty));
    let lowered = mapping.lower(mlua::serde::Deserializer::new(value));
    expected.assert_eq(&shown(&mapping, &lowered));
}

#[test]
fn lua_tables_and_numbers_are_read_by_type() {
    lua("list<u8>", "{}", &expect!["[List([])]"]);
    lua("record { a: option<u8> }", "{}", &expect![[r#"[Record([("a", Option(None))])]"#]]);
    lua("map<string, u8>", "{}", &expect!["[Map([])]"]);
    lua("flags { a, b }", "{}", &expect!["[Flags([])]"]);
    lua("option<list<string>>", "{}", &expect!["[Option(Some(List([])))]"]);
    lua("list<u8>", "'\\255\\0a'", &expect!["[List([U8(255), U8(0), U8(97)])]"]);
    lua("string", "'\\255'", &expect!["! argument 1 (x): expected string, found 1 byte"]);
    lua("string", "'a'", &expect![[r#"[String("a")]"#]]);
    lua("s64", "math.mininteger", &expect!["[S64(-9223372036854775808)]"]);
    lua("s64", "2^53", &expect!["[S64(9007199254740992)]"]);
    lua(
        "u32",
        "7 / 2",
        &expect!["! argument 1 (x): expected u32, found number 3.5, which is not an integer"],
    );
    lua("f64", "7", &expect!["[Float64(7.0)]"]);
    lua("f64", "-1/0", &expect!["[Float64(-inf)]"]);
    lua(
        "u8",
        "0/0",
        &expect!["! argument 1 (x): expected u8, found number NaN, which is not an integer"],
    );
    lua(
        "record { tag-count: u8, ok: bool }",
        "{ tag_count = 3, ok = true }",
        &expect![[r#"[Record([("tag-count", U8(3)), ("ok", Bool(true))])]"#]],
    );
    lua("map<u32, string>", "{ [5] = 'five' }", &expect![[r#"[Map([(U32(5), String("five"))])]"#]]);
    lua("map<u32, string>", "{ {1, 'one'} }", &expect![[r#"[Map([(U32(1), String("one"))])]"#]]);
    lua(
        "list<option<u8>>",
        "{ 1, 2 }",
        &expect!["[List([Option(Some(U8(1))), Option(Some(U8(2)))])]"],
    );
    lua("list<u8>", "{ a = 1 }", &expect!["! argument 1 (x): expected list<u8>, found a map"]);
    lua(
        "string",
        "print",
        &expect!["! argument 1 (x): deserialize error: unsupported value type `function`"],
    );
}
