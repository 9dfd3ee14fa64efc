//! Core modules as components: they run, and errors have exact texts.

use std::fmt::Write as _;

use crisol_core::suggest::kebab;
use crisol_wit::{BinaryKind, CodeError, WrapError, parse_code, parse_text, wrap};
use expect_test::{Expect, expect};
use wasmtime::Store;
use wasmtime::component::{Component, Linker, Val};

use super::support::engine;

const MODULE: &str = r#"(module
  (func (export "answer") (result i32) i32.const 42)
  (func (export "add_two") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "mulBig") (param i64 f32 f64) (result f64) (local.get 2))
  (func (export "math#sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
  (func (export "v") (param i32 v128))
  (func (export "two") (result i32 i32) i32.const 1 i32.const 2)
  (func (export "upper") (param i32 i32) (result i32) i32.const 0))"#;

fn module(text: &str) -> Vec<u8> {
    parse_text(text, None).unwrap()
}

/// Wraps, instantiates and calls `path`.
fn call(module: &[u8], wit: Option<&str>, method: &str, path: &[&str], args: &[Val]) -> Val {
    let wrapped = wrap(module, wit, method).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(parse_code(&wrapped.component), Ok(BinaryKind::Component));
    let component = Component::new(engine(), wrapped.component).unwrap();
    #[expect(clippy::disallowed_methods, reason = "bare wasmtime, without the engine")]
    let mut store = Store::new(engine(), ());
    let instance = Linker::new(engine()).instantiate(&mut store, &component).unwrap();
    let mut at = None;
    for name in path {
        at = instance.get_export_index(&mut store, at.as_ref(), name);
        assert!(at.is_some(), "no export `{name}`");
    }
    let func = instance.get_func(&mut store, at.unwrap()).unwrap();
    let mut results = [Val::Bool(false)];
    func.call(&mut store, args, &mut results).unwrap();
    let [result] = results;
    result
}

fn refused(text: &str, wit: Option<&str>, method: &str, expected: &Expect) {
    let error = wrap(&module(text), wit, method).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[test]
fn methods_of_a_module_without_wit_share_one_component() {
    let module = module(MODULE);
    let answer = wrap(&module, None, "answer").unwrap().component;
    for method in ["add_two", "mulBig", "math#sub", "upper"] {
        let wrapped = wrap(&module, None, method).unwrap();
        assert_eq!(wrapped.component, answer, "{method}");
        assert_eq!(wrapped.method, kebab(method));
    }
    // The second of two exports with one WIT name is declared alone, and so are names reserved for hosts.
    for (first, second) in [("a_b", "aB"), ("_f", "f"), ("canonical_abi_free", "f")] {
        let text = format!(
            r#"(module (func (export "{first}") (result i32) i32.const 1) (func (export "{second}") (result i32) i32.const 2))"#
        );
        let module = parse_text(&text, None).unwrap();
        for (method, gives) in [(first, 1), (second, 2)] {
            assert_eq!(
                call(&module, None, method, &[&kebab(method)], &[]),
                Val::S32(gives),
                "{method}"
            );
        }
    }
}

#[test]
fn unused_exports_do_not_block_a_method() {
    let answer = r#"(func (export "f") (result i32) i32.const 7)"#;
    for beside in [
        r#"(func (export "g") (result i32) i32.const 1) (func (export "cabi_post_g"))"#,
        r#"(func (export "g") (result i32) i32.const 1) (func (export "cabi_post_G") (param i64))"#,
        r#"(memory (export "memory") 1) (func (export "Memory") (result i32) i32.const 1)
           (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#,
        r#"(func (export "Cm32p2"))"#,
        r#"(func (export "Cm32p2Add") (result i32) i32.const 1)"#,
        r#"(global (export "g-h") i32 (i32.const 0)) (func (export "gH"))"#,
        r#"(func (export "_initialize"))"#,
    ] {
        // Imports come first.
        let (first, last) = match beside.find("(import") {
            Some(at) => beside.split_at(at),
            None => (beside, ""),
        };
        let module = module(&format!("(module {last} {first} {answer})"));
        if last.is_empty() {
            assert_eq!(call(&module, None, "f", &["f"], &[]), Val::S32(7), "{beside}");
        } else {
            wrap(&module, None, "f").unwrap_or_else(|error| panic!("{beside}: {error}"));
        }
    }
    // Very many exports, or many with long names, are each declared alone.
    for (count, filler) in [(300, 0), (250, 4_300)] {
        let mut text = String::from("(module");
        for at in 0..count {
            let name = format!("f{at}{}", "x".repeat(filler));
            write!(text, r#"(func (export "{name}") (result i32) i32.const {at})"#).unwrap();
        }
        let module = parse_text(&(text + ")"), None).unwrap();
        let [one, two] = [1, 2].map(|at| format!("f{at}{}", "x".repeat(filler)));
        let component = |method: &str| wrap(&module, None, method).unwrap().component;
        assert_ne!(component(&one), component(&two));
        assert_eq!(call(&module, None, &two, &[&two], &[]), Val::S32(2));
    }
}

#[test]
fn spellings_match_and_types_come_from_wit_or_core() {
    let module = module(MODULE);
    let two = [Val::S32(6), Val::S32(7)];
    assert_eq!(call(&module, None, "answer", &["answer"], &[]), Val::S32(42));
    assert_eq!(
        call(&module, Some("answer: func() -> u32;"), "answer", &["answer"], &[]),
        Val::U32(42)
    );
    for method in ["add_two", "add-two", "addTwo", "AddTwo"] {
        assert_eq!(call(&module, None, method, &["add-two"], &two), Val::S32(13));
    }
    let wit = "answer: func() -> s32; /* all */ add-two: func(a: s32, b: s32) -> s32; // end";
    assert_eq!(call(&module, Some(wit), "add-two", &["add-two"], &two), Val::S32(13));
    let big = [Val::S64(1), Val::Float32(2.0), Val::Float64(3.5)];
    assert_eq!(call(&module, None, "mulBig", &[&kebab("mulBig")], &big), Val::Float64(3.5));
}

#[test]
fn fragments_with_types_and_whole_documents_are_accepted() {
    let module = module(MODULE);
    let two = [Val::S32(6), Val::S32(7)];
    let interface = "interface math { sub: func(a: s32, b: s32) -> s32; }";
    let path = ["crisol:guest/math", "sub"];
    assert_eq!(call(&module, Some(interface), "math#sub", &path, &two), Val::S32(-1));
    let document = format!("package my:calc@1.2.0; {interface} world w {{ export math; }}");
    let path = ["my:calc/math@1.2.0", "sub"];
    assert_eq!(call(&module, Some(&document), "math#sub", &path, &two), Val::S32(-1));
    let no_world = format!("package my:calc;\n{interface}");
    let path = ["my:calc/math", "sub"];
    assert_eq!(call(&module, Some(&no_world), "math#sub", &path, &two), Val::S32(-1));
    let types = "
        interface kinds { record pair { a: s32, b: s32 } }
        use kinds.{pair};
        enum one { only }
        /// Adds.
        add-two: func(p: pair) -> s32;";
    let pair = Val::Record(vec![("a".into(), Val::S32(6)), ("b".into(), Val::S32(7))]);
    assert_eq!(call(&module, Some(types), "add-two", &["add-two"], &[pair]), Val::S32(13));
}

#[test]
fn missing_parts_are_named() {
    refused(
        MODULE,
        None,
        "ansver",
        &expect![
            "the module does not export a function `ansver`: did you mean `answer`? it exports `answer` () -> i32, `add_two` (i32, i32) -> i32, `mulBig` (i64, f32, f64) -> f64, `math#sub` (i32, i32) -> i32, `v` (i32, v128), `two` () -> (i32, i32), `upper` (i32, i32) -> i32"
        ],
    );
    refused(
        "(module)",
        Some("f: func();"),
        "f",
        &expect!["the module does not export a function `f`: it exports no function"],
    );
    refused(
        MODULE,
        None,
        "v",
        &expect!["the export `v` takes v128 as parameter 2: declare its type in `wit`"],
    );
    refused(
        MODULE,
        None,
        "two",
        &expect!["the export `two` gives 2 results: declare its type in `wit`"],
    );
    refused(
        MODULE,
        Some("add-two: func(a: s32, b: s64) -> s32;"),
        "add-two",
        &expect![
            "the export `add_two` is (i32, i32) -> i32, but `add-two: func(a: s32, b: s64) -> s32` needs (i32, i64) -> i32"
        ],
    );
    refused(
        MODULE,
        Some("upper: func(text: string) -> string;"),
        "upper",
        &expect![
            "`upper` takes strings or lists, but the module does not export its memory as `memory`"
        ],
    );
    refused(
        r#"(module (memory (export "memory") 1) (func (export "upper") (param i32 i32) (result i32) i32.const 0))"#,
        Some("upper: func(text: string) -> string;"),
        "upper",
        &expect![
            "`upper` takes strings or lists, but the module does not export `cabi_realloc` (i32, i32, i32, i32) -> i32, which allocates: (old pointer, old size, alignment, new size) -> pointer"
        ],
    );
    refused(
        r#"(module (memory (export "memory") 1) (func (export "upper") (param i32 i32) (result i32) i32.const 0)
            (func (export "cabi_realloc") (param i32 i32) (result i32) i32.const 0))"#,
        Some("upper: func(text: string) -> string;"),
        "upper",
        &expect![
            "`upper` takes strings or lists, and its allocator `cabi_realloc` is (i32, i32) -> i32: expected (i32, i32, i32, i32) -> i32, (old pointer, old size, alignment, new size) -> pointer"
        ],
    );
    refused(
        r#"(module (import "env" "emscripten_f" (func)) (import "env" "g" (func)) (import "host" "get" (func))
            (func (export "f")))"#,
        None,
        "f",
        &expect![
            "the module imports `emscripten_f`, `g` from `env`: it is built for JavaScript, by Emscripten; and `get` from `host`: `wit` does not declare that"
        ],
    );
    refused(
        r#"(module (import "env" "log" (func)) (func (export "f")))"#,
        None,
        "f",
        &expect!["the module imports `log` from `env`: the linker left it unresolved in `env`"],
    );
    refused(
        r#"(module (func (export "add_two")) (func (export "addTwo")))"#,
        None,
        "add-two",
        &expect![
            "`add-two` is ambiguous: it matches the exports `add_two`, `addTwo`: use an exact name"
        ],
    );
    for method in ["add.two", "add two", "add/two", "add__two", "_add_two"] {
        let error = wrap(&module(MODULE), None, method).unwrap_err();
        assert!(matches!(error, WrapError::MissingFunction { .. }), "{method}: {error}");
    }
    refused(
        MODULE,
        Some("record r { a: s32 }"),
        "answer",
        &expect!["`wit` declares no function: add one, such as `answer: func();`"],
    );
}

#[test]
fn function_without_plain_values_is_named() {
    let module = r#"(module (memory (export "memory") 1) (func (export "f") (param i32)))"#;
    refused(
        module,
        Some("f: func(x: stream<u8>);"),
        "f",
        &expect![
            "`wit` declares `f`, but parameter 1 (x) is a stream, which cannot be passed as a plain value"
        ],
    );
    refused(
        module,
        Some("record r { a: list<future<u8>> } f: func(x: r);"),
        "f",
        &expect![
            "`wit` declares `f`, but parameter 1 (x).a[] is a future, which cannot be passed as a plain value"
        ],
    );
    refused(
        module,
        Some("resource r; f: func(x: tuple<option<borrow<r>>>);"),
        "f",
        &expect![
            "`wit` declares `f`, but parameter 1 (x).0 is a borrowed resource, which cannot be passed as a plain value"
        ],
    );
    refused(
        module,
        Some("resource r; f: func(x: u32) -> result<r>;"),
        "f",
        &expect![
            "`wit` declares `f`, but the result.ok is a resource, which cannot be passed as a plain value"
        ],
    );
    refused(
        module,
        Some("interface i { resource r { get: func() -> u32; } } f: func(x: u32);"),
        "f",
        &expect![
            "`wit` declares `[method]r.get`, a function of a resource, whose handles have no plain value: declare plain functions instead"
        ],
    );
    refused(
        module,
        Some("interface i { resource r { constructor(); } }"),
        "f",
        &expect![
            "`wit` declares `[constructor]r`, a function of a resource, whose handles have no plain value: declare plain functions instead"
        ],
    );
    refused(
        module,
        Some("f: async func(x: u32);"),
        "f",
        &expect![
            "`wit` declares `f`, an async function: a module's export runs to its end, so write `func` without `async`"
        ],
    );
    let flags: Vec<String> = (0..33).map(|at| format!("flag-{at}")).collect();
    let flags = format!("flags many {{ {} }} f: func(x: list<many>);", flags.join(", "));
    refused(
        module,
        Some(&flags),
        "f",
        &expect![
            "`wit` declares `f`, but parameter 1 (x)[] is a set of 33 flags, and components allow 32"
        ],
    );
}

#[test]
fn more_parameters_than_a_component_hands_over_are_explained() {
    let module = format!(
        "(module (func (export \"f\") (param {}) (result i64) i64.const 1))",
        "i32 ".repeat(17)
    );
    refused(
        &module,
        None,
        "f",
        &expect![
            "the export `f` takes 17 parameters, but a component passes at most 16 directly: take one pointer (i32) to all of them in memory, and declare the 17 in `wit`"
        ],
    );
    let params: Vec<String> = (0..17).map(|at| format!("p{at}: s32")).collect();
    let wit = format!("f: func({}) -> s64;", params.join(", "));
    refused(
        &module,
        Some(&wit),
        "f",
        &expect![
            "the export `f` is (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> i64, but `f: func(p0: s32, p1: s32, p2: s32, p3: s32, p4: s32, p5: s32, p6: s32, p7: s32, p8: s32, p9: s32, p10: s32, p11: s32, p12: s32, p13: s32, p14: s32, p15: s32, p16: s32) -> s64` needs (i32) -> i64"
        ],
    );
    let sixteen = parse_text(&module.replacen("i32 ", "", 1), None).unwrap();
    assert_eq!(call(&sixteen, None, "f", &["f"], &vec![Val::S32(0); 16]), Val::S64(1));
    // As the message advises: one pointer to all of them.
    let pointer = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "f") (param i32) (result i64)
            (i64.extend_i32_s (i32.load offset=64 (local.get 0)))))"#;
    let args: Vec<Val> = (0..17).map(Val::S32).collect();
    assert_eq!(call(&self::module(pointer), Some(&wit), "f", &["f"], &args), Val::S64(16));
}

#[test]
fn errors_in_wit_point_into_the_text() {
    refused(
        MODULE,
        Some("answer: func() -> s32;\nadd-two: func(a: s23) -> s32;"),
        "answer",
        &expect![[r"
            `wit` is invalid: name `s23` does not exist
                 --> wit:2:18
                  |
                2 | add-two: func(a: s23) -> s32;
                  |                  ^--"]],
    );
    refused(
        MODULE,
        Some("answer: func( -> s32;"),
        "answer",
        &expect![[r"
            `wit` is invalid: expected an identifier or string, found `->`
                 --> wit:1:15
                  |
                1 | answer: func( -> s32;
                  |               ^-"]],
    );
    refused(
        MODULE,
        Some(&format!("f: func(a: {}u8);", "list<".repeat(1000))),
        "f",
        &expect!["`wit` is invalid: its brackets are nested over 100 deep"],
    );
}

#[test]
fn preview_1_is_adapted() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1)
        (func (export "_start"))
        (func (export "f") (result i32) i32.const 1))"#;
    let exports = |wit: Option<&str>, method: &str| {
        let wrapped = wrap(&module(text), wit, method).unwrap();
        let component = Component::new(engine(), wrapped.component).unwrap();
        let ty = component.component_type();
        let names: Vec<String> = ty.exports(engine()).map(|(name, _)| name.to_owned()).collect();
        let imports = ty.imports(engine()).any(|(name, _)| name.starts_with("wasi:cli/exit@0.2"));
        assert!(imports);
        names.into_iter().map(|name| name.split('@').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(exports(None, "_start"), ["wasi:cli/run"]);
    assert_eq!(exports(None, "run"), ["wasi:cli/run"]);
    let mut both = exports(Some("f: func() -> s32;"), "f");
    both.sort();
    assert_eq!(both, ["f", "wasi:cli/run"]);
    let reactor = text.replace("(func (export \"_start\"))", "");
    let wrapped = wrap(&module(&reactor), None, "f").unwrap();
    let component = Component::new(engine(), wrapped.component).unwrap();
    let ty = component.component_type();
    assert_eq!(ty.exports(engine()).map(|(name, _)| name).collect::<Vec<_>>(), ["f"]);
}

#[test]
fn bytes_are_recognised() {
    let shown = |bytes: &[u8]| parse_code(bytes).unwrap_err().to_string();
    assert_eq!(parse_code(&module("(module)")), Ok(BinaryKind::Core));
    assert_eq!(parse_code(&module("(component)")), Ok(BinaryKind::Component));
    assert_eq!(parse_code(b""), Err(CodeError::Empty));
    expect!["it is not WebAssembly: it starts with `50 4b 03 04 61`, which is compressed data or an archive"]
        .assert_eq(&shown(b"PK\x03\x04a"));
    expect!["it is not WebAssembly: it starts with `hello`"].assert_eq(&shown(b"hello"));
    expect!["it is a core module of version 2, and this host runs version 1"]
        .assert_eq(&shown(b"\0asm\x02\0\0\0"));
}

#[test]
fn truncated_code_is_recognised_by_its_sections() {
    let module = module(MODULE);
    let component = wrap(&module, None, "answer").unwrap().component;
    for (whole, kind) in [(&module, BinaryKind::Core), (&component, BinaryKind::Component)] {
        assert_eq!(parse_code(whole), Ok(kind));
        let whole_up_to = |len: usize| parse_code(&whole[..len]);
        let cut = (4..whole.len()).filter(|len| whole_up_to(*len) != Ok(kind));
        for len in cut.clone() {
            assert!(matches!(whole_up_to(len), Err(CodeError::CutShort { .. })), "{len}");
        }
        // A cut at the end of a section may be a whole file.
        assert!(cut.count() > whole.len() * 3 / 4);
    }
}
