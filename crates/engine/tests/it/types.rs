//! WIT types of functions: all types with plain values are supported, the others are rejected by name at link time.

use crate::support::{Guest, Tested, engine};
use crisol_engine::{Allocation, CompileError, Grants, LinkError};
use expect_test::{Expect, expect};

/// Returns its list argument.
const ECHO: &str = include_str!("guests/types-echo.wat");

/// Passes a JSON element through a function that returns its list, and gives the result as JSON text.
async fn echo(ty: &str, text: &str) -> Tested<String> {
    let wit = format!("echo: func(x: list<{ty}>) -> list<{ty}>;");
    let bytes = crisol_wit::wrap(&wat::parse_str(ECHO)?, Some(&wit), "echo")?.component;
    let engine = engine(Allocation::OnDemand)?;
    let linked = engine.link(&engine.compile(&bytes, false)?, &Grants::default(), "echo")?;
    let args = linked.mapping().lower_json(format!("[{text}]").as_bytes())?;
    let args = linked.mapping().unpack_args(&args);
    let mut instance = linked.instantiate(crate::support::wasi(), Default::default(), None).await?;
    let result = instance.call(&args, None).await?;
    let mapping = linked.mapping();
    match mapping.lift(mapping.pack_result(result)).into_result() {
        Ok(value) | Err(value) => Ok(serde_json::to_string(&value)?),
    }
}

#[tokio::test]
async fn maps_and_lists_of_a_fixed_length_cross_both_ways() -> Tested {
    for (ty, text) in [
        ("map<string, u32>", r#"[{"a":1,"b":2},{}]"#),
        ("map<u64, list<string>>", r#"[[[18446744073709551615,["x","y"]]]]"#),
        ("map<char, map<bool, f64>>", r#"[{"x":[[true,0.5]]}]"#),
        ("list<u16, 3>", "[[1,2,65535],[4,5,6]]"),
        ("list<string, 2>", r#"[["a","b"]]"#),
        ("list<list<option<s8>, 2>, 2>", "[[[1,null],[null,-128]]]"),
        ("tuple<bool, list<map<string, list<u8, 4>>, 1>>", r#"[[true,[{"k":[1,2,3,4]}]]]"#),
    ] {
        assert_eq!(echo(ty, text).await?, text, "{ty}");
    }
    Ok(())
}

/// Adapters between nested components also pass these types.
#[tokio::test]
async fn components_inside_pass_maps_and_lists_of_a_fixed_length_on() -> Tested {
    let memory = r#"(core module $libc
            (memory (export "memory") 1)
            (global $top (mut i32) (i32.const 64))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (local.get $at)))
        (core instance $libc (instantiate $libc))"#;
    let ty = r#"(param "x" (list (tuple (map string u16) (list u32 2)))) (result u32)"#;
    let text = format!(
        r#"(component
            (component $inner
                {memory}
                (core module $m (import "libc" "memory" (memory 1))
                    ;; The second number of the first item's fixed list, and the first value of its map.
                    (func (export "f") (param i32 i32) (result i32)
                        (i32.add
                            (i32.load offset=12 (local.get 0))
                            (i32.load16_u offset=8 (i32.load (local.get 0))))))
                (core instance $i (instantiate $m (with "libc" (instance $libc))))
                (func (export "f") {ty} (canon lift (core func $i "f")
                    (memory $libc "memory") (realloc (func $libc "realloc")))))
            (component $outer
                (import "f" (func $f {ty}))
                {memory}
                (core func $f (canon lower (func $f)
                    (memory $libc "memory") (realloc (func $libc "realloc"))))
                (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
                    (func (export "g") (param i32 i32) (result i32)
                        (call $f (local.get 0) (local.get 1))))
                (core instance $i (instantiate $m
                    (with "" (instance (export "f" (func $f))))))
                (func (export "g") {ty} (canon lift (core func $i "g")
                    (memory $libc "memory") (realloc (func $libc "realloc")))))
            (instance $inner (instantiate $inner))
            (instance $outer (instantiate $outer (with "f" (func $inner "f"))))
            (func (export "g") (alias export $outer "g")))"#
    );
    let guest = Guest::wat(&text, "g")?;
    let args = guest.linked.mapping().lower_json(br#"[[[{"key": 40}, [1, 2]]]]"#)?;
    let args = guest.linked.mapping().unpack_args(&args);
    assert_eq!(guest.call(&args).await?, Some(wasmtime::component::Val::U32(42)));
    Ok(())
}

/// Checks the error for a component that exports `f` of type `ty`, with one 32-bit number as core parameter.
fn refused(defs: &str, ty: &str, options: &str, expected: &Expect) -> Tested {
    let text = format!(
        r#"(component
            {defs}
            (core module $m (memory (export "m") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "f") (param i32) (result i32) unreachable)
                (func (export "g") (param i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            (func (export "f") {ty} (canon lift {options})))"#
    );
    let error = Guest::wat(&text, "f").err().ok_or("it was linked")?;
    let error: &LinkError = error.downcast_ref().ok_or_else(|| format!("{error:?}"))?;
    let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    expected.assert_eq(&format!("{error}: {why}"));
    Ok(())
}

#[test]
fn types_without_plain_values_are_refused() -> Tested {
    let one = r#"(core func $i "f")"#;
    let lists = r#"(core func $i "g") (memory $i "m") (realloc (func $i "realloc"))"#;
    refused(
        "",
        r#"(param "body" (stream u8)) (result u32)"#,
        one,
        &expect![
            "the export `f` cannot be called from outside: parameter 1 (body) is a stream, which cannot be passed as a plain value"
        ],
    )?;
    refused(
        "",
        r#"(param "later" (future u8)) (result u32)"#,
        one,
        &expect![
            "the export `f` cannot be called from outside: parameter 1 (later) is a future, which cannot be passed as a plain value"
        ],
    )?;
    refused(
        "",
        r#"(param "many" (list (stream))) (result u32)"#,
        lists,
        &expect![
            "the export `f` cannot be called from outside: parameter 1 (many)[] is a stream, which cannot be passed as a plain value"
        ],
    )?;
    refused(
        "",
        r#"(param "n" u32) (result (future string))"#,
        one,
        &expect![
            "the export `f` cannot be called from outside: the result is a future, which cannot be passed as a plain value"
        ],
    )?;
    let resource = r#"(type $r' (resource (rep i32))) (export $r "thing" (type $r'))"#;
    refused(
        resource,
        r#"(param "it" (own $r)) (result u32)"#,
        one,
        &expect![
            "the export `f` cannot be called from outside: parameter 1 (it) is a resource, which cannot be passed as a plain value"
        ],
    )?;
    refused(
        resource,
        r#"(param "it" (borrow $r)) (result u32)"#,
        one,
        &expect![
            "the export `f` cannot be called from outside: parameter 1 (it) is a borrowed resource, which cannot be passed as a plain value"
        ],
    )?;
    refused(
        resource,
        r#"(param "n" u32) (result (own $r))"#,
        one,
        &expect![
            "the export `f` cannot be called from outside: the result is a resource, which cannot be passed as a plain value"
        ],
    )
}

/// Lists of a fixed length are as long as their type says, and sizes of types are counted in 32 bits.
#[test]
fn types_larger_than_memory_cost_an_error_at_most() -> Tested {
    let engine = engine(Allocation::OnDemand)?;
    let huge = "(type $a (list u64 1000000000)) (type $b (list $a 1000000000))";
    for ty in
        ["(list $b 1000000000)", "(tuple $b $b)", "(record (field \"a\" $b) (field \"b\" $b))"]
    {
        let text = format!(
            r#"(component
                {huge} (type $c' {ty}) (export $c "c" (type $c'))
                (core module $m (memory (export "m") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                    (func (export "f") (param i32)))
                (core instance $i (instantiate $m))
                (func (export "f") (param "x" $c) (canon lift (core func $i "f")
                    (memory $i "m") (realloc (func $i "realloc")))))"#
        );
        match engine.compile(&wat::parse_str(&text)?, false) {
            Ok(compiled) => {
                let linked = engine.link(&compiled, &Grants::default(), "f")?;
                assert!(linked.mapping().lower_json(b"[[]]").is_err());
            }
            Err(CompileError::Invalid(_) | CompileError::Compiler) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
