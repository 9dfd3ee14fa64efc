//! Core modules called directly: their functions and signatures, and the errors for unsupported ones.

use crisol_wit::{Convention, CoreModule, parse_text};
use expect_test::{Expect, expect};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn read(text: &str, wit: Option<&str>, method: &str) -> Option<CoreModule> {
    let module = parse_text(text, None).unwrap();
    CoreModule::read(&module, wit, method).unwrap_or_else(|error| panic!("{error}"))
}

/// Shows the functions as `method: signature = export`, with the exports called beside them.
fn check(text: &str, wit: Option<&str>, method: &str, expected: &Expect) {
    let shown = match read(text, wit, method) {
        None => "a component".to_owned(),
        Some(core) => {
            let function = |function: &crisol_wit::CoreFunction| {
                let interface = function.interface.as_ref().map(|name| format!("{name}#"));
                let interface = interface.unwrap_or_default();
                let signature = core.signature(function).unwrap();
                let (name, export) = (&function.name, &function.export);
                let post = function.post_return.as_ref().map(|post| format!(", then {post}"));
                format!("{interface}{name}: {signature} = {export}{}", post.unwrap_or_default())
            };
            let mut lines: Vec<String> = core.functions().iter().map(function).collect();
            lines.extend(core.initialize().map(|export| format!("first {export}")));
            lines.join("\n")
        }
    };
    expected.assert_eq(&shown);
}

const MODULE: &str = r#"(module
    (func (export "answer") (result i32) i32.const 42)
    (func (export "add_two") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "cabi_post_add_two") (param i32))
    (func (export "two") (result i32 f64) (i32.const 1) (f64.const 2))
    (func (export "_initialize")))"#;

#[test]
fn without_wit_an_export_is_called_by_its_core_type() {
    check(
        MODULE,
        None,
        "answer",
        &expect![[r#"
        answer: func() -> s32 = answer
        first _initialize"#]],
    );
    check(
        MODULE,
        None,
        "addTwo",
        &expect![[r#"
        add_two: func(p0: s32, p1: s32) -> s32 = add_two, then cabi_post_add_two
        first _initialize"#]],
    );
    check(
        MODULE,
        None,
        "two",
        &expect![[r#"
        two: func() -> tuple<s32, f64> = two
        first _initialize"#]],
    );
}

#[test]
fn with_wit_its_declared_functions_are_called() {
    let wit = "answer: func() -> u8; interface math { add-two: func(a: s32, b: u32) -> bool; }";
    check(
        MODULE,
        Some(wit),
        "answer",
        &expect![[r#"
        answer: func() -> u8 = answer
        crisol:guest/math#add-two: func(a: s32, b: u32) -> bool = add_two, then cabi_post_add_two
        first _initialize"#]],
    );
}

#[test]
fn a_command_has_its_entry_point_and_is_not_initialized() {
    let command = MODULE.replace(
        "(func (export \"_initialize\"))",
        "(func (export \"_initialize\")) (func (export \"_start\"))",
    );
    let run = expect!["wasi:cli/run#run: func() -> result = _start"];
    for method in ["_start", "run", "wasi:cli/run#run", "wasi:cli/run@0.2.0#run"] {
        check(&command, None, method, &run);
    }
    check(&command, None, "answer", &expect!["answer: func() -> s32 = answer"]);
    check(
        &command,
        Some("answer: func() -> u32;"),
        "_start",
        &expect![[r#"
        answer: func() -> u32 = answer
        wasi:cli/run#run: func() -> result = _start"#]],
    );
    // A function with parameters is not an entry point.
    let other = r#"(module (func (export "_start") (param i32)))"#;
    check(other, None, "_start", &expect!["_start: func(p0: s32) = _start"]);
    let core = read(&command, None, "_start").unwrap();
    assert!(core.functions().iter().all(|one| one.convention == Convention::Start));
}

#[test]
fn module_with_wit_imports_must_become_a_component() {
    let component = expect!["a component"];
    let import = |import: &str| format!("(module {import} (func (export \"f\")))");
    let wit = "package a:b; world w { import log: func(); import c: interface { d: func(); } export f: func(); }";
    for text in [
        r#"(import "a:b/c" "d" (func))"#,
        r#"(import "wasi:cli/exit@0.2.0" "exit" (func (param i32)))"#,
        r#"(import "$root" "log" (func))"#,
        r#"(import "c" "d" (func))"#,
    ] {
        let text = import(text);
        let module = parse_text(&text, None).unwrap();
        assert!(CoreModule::read(&module, Some(wit), "f").unwrap().is_none(), "{text}");
    }
    check(&import(""), Some(wit), "f", &expect!["f: func() = f"]);
    check(&import(r#"(import "env" "log" (func))"#), Some(wit), "f", &expect!["f: func() = f"]);
    check(r#"(module (func (export "cm32p2||f")))"#, Some("f: func();"), "f", &component);
}

#[test]
fn mismatches_have_the_errors_of_components() {
    let refused = |wit: Option<&str>, method: &str, expected: &Expect| {
        let module = parse_text(MODULE, None).unwrap();
        let error = CoreModule::read(&module, wit, method).err().unwrap();
        expected.assert_eq(&error.to_string());
    };
    refused(
        None,
        "ansver",
        &expect![
            "the module does not export a function `ansver`: did you mean `answer`? it exports `answer` () -> i32, `add_two` (i32, i32) -> i32, `two` () -> (i32, f64), `_initialize` ()"
        ],
    );
    refused(
        Some("record r { a: s32 }"),
        "answer",
        &expect!["`wit` declares no function: add one, such as `answer: func();`"],
    );
    refused(
        Some("answer: func() -> s64;"),
        "answer",
        &expect!["the export `answer` is () -> i32, but `answer: func() -> s64` needs () -> i64"],
    );
}

/// Module with WIT metadata, as bindings generators write it.
fn carrying(text: &str, wit: &str, encoding: StringEncoding) -> Vec<u8> {
    let mut module = parse_text(text, None).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("a.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    module
}

#[test]
fn a_module_that_carries_its_wit_is_called_by_it() {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "a:b/c#upper") (param i32 i32) (result i32) unreachable)
        (func (export "cabi_post_a:b/c#upper") (param i32)))"#;
    let wit = |more: &str| {
        format!(
            "package a:b; interface c {{ upper: func(text: string) -> string; {more} }} world w {{ export c; }}"
        )
    };
    let module = carrying(text, &wit(""), StringEncoding::UTF8);
    let core = CoreModule::read(&module, None, "c#upper").unwrap().unwrap();
    let [function] = core.functions() else { panic!("{:?}", core.functions()) };
    assert_eq!(function.interface.as_deref(), Some("a:b/c"));
    assert_eq!(function.post_return.as_deref(), Some("cabi_post_a:b/c#upper"));
    assert_eq!(core.signature(function).unwrap().to_string(), "func(text: string) -> string");
    assert_eq!((core.allocate(), core.found().is_some()), (Some("cabi_realloc"), false));
    let is_component = |module: &[u8], wit: Option<&str>| {
        CoreModule::read(module, wit, "c#upper").unwrap().is_none()
    };
    // Only the encoder handles other string encodings, resources and double declarations.
    assert!(is_component(&carrying(text, &wit(""), StringEncoding::UTF16), None));
    let resource = wit("resource r { constructor(); }");
    assert!(is_component(&carrying(text, &resource, StringEncoding::UTF8), None));
    assert!(is_component(&module, Some("f: func();")));
}

#[test]
fn a_reactor_that_nothing_can_initialize_is_refused() {
    let read = |initialize: &str, method: &str| {
        let text =
            format!("(module {initialize} (func (export \"f\") (result i32) (i32.const 1)))");
        let module = parse_text(&text, None).unwrap();
        CoreModule::read(&module, None, method).map(drop).map_err(|e| e.to_string())
    };
    let wants = "(func (export \"_initialize\") (param i32))";
    assert_eq!(
        read(wants, "f"),
        Err("the export `_initialize` is (i32): expected no parameters and no results, since it runs before any other function"
            .to_owned())
    );
    assert!(read(wants, "_initialize").is_ok());
    assert!(read("(func (export \"_initialize\"))", "f").is_ok());
    // A command is not initialized.
    assert!(read(&format!("{wants} (func (export \"_start\"))"), "f").is_ok());
}
