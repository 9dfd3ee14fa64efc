//! WAVE read and written, compared with the reader and writer of `wasm-wave`.

use crisol_core::Type;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, proptest};
use wasm_wave::value::{Type as WaveType, Value as WaveValue};
use wasmtime::component::Val;

use super::support::{lifted, mapping, only};
use super::types::{any_type, any_value, parse};

/// Same type for `wasm-wave`; `None` for types that it lacks: maps and fixed lengths.
fn wave_type(ty: &Type) -> Option<WaveType> {
    Some(match ty {
        Type::Bool => WaveType::BOOL,
        Type::S8 => WaveType::S8,
        Type::U8 => WaveType::U8,
        Type::S16 => WaveType::S16,
        Type::U16 => WaveType::U16,
        Type::S32 => WaveType::S32,
        Type::U32 => WaveType::U32,
        Type::S64 => WaveType::S64,
        Type::U64 => WaveType::U64,
        Type::F32 => WaveType::F32,
        Type::F64 => WaveType::F64,
        Type::Char => WaveType::CHAR,
        Type::String => WaveType::STRING,
        Type::List(item) => WaveType::list(wave_type(item)?),
        Type::Tuple(items) => {
            WaveType::tuple(items.iter().map(wave_type).collect::<Option<Vec<_>>>()?)?
        }
        Type::Record(fields) => {
            let field =
                |field: &crisol_core::Field| Some((field.name.clone(), wave_type(&field.ty)?));
            WaveType::record(fields.iter().map(field).collect::<Option<Vec<_>>>()?)?
        }
        Type::Variant(cases) => {
            let case = |case: &crisol_core::Case| match &case.ty {
                Some(ty) => Some((case.name.clone(), Some(wave_type(ty)?))),
                None => Some((case.name.clone(), None)),
            };
            WaveType::variant(cases.iter().map(case).collect::<Option<Vec<_>>>()?)?
        }
        Type::Enum(names) => WaveType::enum_ty(names.clone())?,
        Type::Flags(names) => WaveType::flags(names.clone())?,
        Type::Option(some) => WaveType::option(wave_type(some)?),
        Type::Result { ok, err } => {
            let side = |side: &Option<Box<Type>>| match side {
                Some(ty) => wave_type(ty).map(Some),
                None => Some(None),
            };
            WaveType::result(side(ok)?, side(err)?)
        }
        _ => return None,
    })
}

fn typed() -> impl Strategy<Value = (Type, Val)> {
    any_type().prop_flat_map(|ty| {
        let list = Type::List(Box::new(ty));
        let values = any_value(&list);
        (Just(list), values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The text equals the reference's, and both read it as the same value.
    #[test]
    fn text_matches_the_reference_implementation((ty, value) in typed()) {
        let mapping = mapping(&ty);
        let text = lifted(&mapping, value.clone()).to_wave();
        prop_assert_eq!(only(&mapping, &mapping.lower_wave(&format!("({text})")).unwrap()), value, "{}", text);
        if let Some(wave) = wave_type(&ty) {
            let read: WaveValue = wasm_wave::from_str(&wave, &text).unwrap();
            prop_assert_eq!(wasm_wave::to_string(&read).unwrap(), text);
        }
    }
}

/// Both accept and refuse the same text, with one known difference: an unknown field is an error here, as in every
/// other format, and is ignored there.
#[test]
fn the_reference_takes_and_refuses_the_same() {
    let cases = [
        ("u8", "5"),
        ("u8", "256"),
        ("u8", "-1"),
        ("u8", "1.5"),
        ("u8", "\"5\""),
        ("u8", "'5'"),
        ("f64", "1"),
        ("f64", "-inf"),
        ("f64", "nan"),
        ("f64", "NaN"),
        ("f64", "1e3"),
        ("char", "'x'"),
        ("char", "\"x\""),
        ("char", "'\\u{2603}'"),
        ("char", "''"),
        ("string", "\"a\\n\""),
        ("string", "'a'"),
        ("string", "a"),
        ("string", "\"\"\"\n  a\n  \"\"\""),
        ("bool", "true"),
        ("bool", "1"),
        ("bool", "True"),
        ("list<u8>", "[1, 2,]"),
        ("list<u8>", "(1, 2)"),
        ("list<u8>", "\"ab\""),
        ("list<u8>", "[]"),
        ("tuple<u8, string>", "(1, \"a\")"),
        ("tuple<u8, string>", "(1)"),
        ("tuple<u8>", "(1)"),
        ("record { a: u8, b: option<u8> }", "{a: 1}"),
        ("record { a: u8, b: option<u8> }", "{b: 1}"),
        ("record { a: u8, b: option<u8> }", "{b: some(1), a: 1}"),
        ("record { a: option<u8> }", "{:}"),
        ("record { a: option<u8> }", "{}"),
        ("record { a: u8 }", "{a: 1, a: 2}"),
        ("option<u8>", "some(1)"),
        ("option<u8>", "1"),
        ("option<u8>", "none"),
        ("option<u8>", "null"),
        ("option<option<u8>>", "some(none)"),
        ("option<option<u8>>", "1"),
        ("option<option<u8>>", "some(1)"),
        ("result<u8, string>", "ok(1)"),
        ("result<u8, string>", "1"),
        ("result<u8, string>", "err(\"a\")"),
        ("result<u8, string>", "ok"),
        ("result", "ok"),
        ("result", "ok(1)"),
        ("result", "err"),
        ("variant { dot, ok, box(u8) }", "dot"),
        ("variant { dot, ok, box(u8) }", "%ok"),
        ("variant { dot, ok, box(u8) }", "ok"),
        ("variant { dot, ok, box(u8) }", "box(1)"),
        ("variant { dot, ok, box(u8) }", "box"),
        ("variant { dot, ok, box(u8) }", "dot(1)"),
        ("variant { dot, ok, box(u8) }", "%dot"),
        ("variant { dot, ok, box(u8) }", "cube"),
        ("enum { red, none }", "red"),
        ("enum { red, none }", "%none"),
        ("enum { red, none }", "none"),
        ("enum { red, none }", "red(1)"),
        ("flags { a, b }", "{a, b}"),
        ("flags { a, b }", "{}"),
        ("flags { a, b }", "{c}"),
        ("flags { a, b }", "[a]"),
        ("flags { a, b }", "{:}"),
        ("u8", "1 2"),
        ("u8", ""),
        ("list<u8>", "[1"),
        ("string", "\"a"),
    ];
    let mut differ = Vec::new();
    for (ty, text) in cases {
        let ty = parse(ty);
        let theirs: Result<WaveValue, _> = wasm_wave::from_str(&wave_type(&ty).unwrap(), text);
        let ours = mapping(&Type::Tuple(vec![ty.clone()])).lower_wave(&format!("(({text}))"));
        match (&theirs, &ours) {
            (Ok(theirs), Ok(ours)) => {
                let mapping = mapping(&Type::Tuple(vec![ty.clone()]));
                let out = lifted(&mapping, only(&mapping, ours)).to_wave();
                let theirs = format!("({})", wasm_wave::to_string(theirs).unwrap());
                if out != theirs {
                    differ.push(format!("{ty} {text}: {out} here, {theirs} there"));
                }
            }
            (Err(_), Err(_)) => {}
            (theirs, ours) => differ.push(format!("{ty} {text}: {ours:?} here, {theirs:?} there")),
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn errors_are_worded_as_everywhere() {
    let mapping = mapping(&parse("list<record { id: u32, tags: list<string> }>"));
    let error = |text: &str| mapping.lower_wave(text).unwrap_err().to_string();
    assert_eq!(
        error("([{id: 1, tags: 5}])"),
        "argument 1 (x)[0].tags: expected list<string>, found number 5"
    );
    assert_eq!(
        error("([{id: 1, tags: [a]}])"),
        "argument 1 (x)[0].tags[0]: expected string, found the case `a`"
    );
    assert!(error("()").starts_with("expected 1 argument (x: list<"), "{}", error("()"));
    assert!(error("([], 1)").ends_with("found 2"));
    assert!(error("([").starts_with("malformed arguments"));
    assert!(error(&format!("({}", "[".repeat(100_000))).contains("nested"));
}
