//! Messages for code that cannot be loaded, or not be called to its end: `tests/it/refused.txt`, which `BLESS=1`
//! rewrites.

use std::fmt::Write as _;
use std::path::Path;

use crisol::engine::Digest;
use crisol::registry::Problems;
use crisol::{Builder, LoadError};

use crate::support::{AppBuilder, Tested};

/// Returns the problems of an app with one `function.wasm`, or its warnings.
fn refusal(bytes: &[u8], method: &str, wit: &str) -> Tested<Option<String>> {
    let hash = Digest::of(bytes);
    let wit = if wit.is_empty() { String::new() } else { format!(", wit: '{wit}'") };
    let entries = format!(
        "  - {{name: wasm, kind: fs.directory, directory: ./wasm}}\n  - {{name: f, kind: function.wasm, fs: wasm, path: /f.wasm, hash: 'sha256:{hash}', method: {method:?}{wit}}}\n"
    );
    refused(AppBuilder::new("n").entries(&entries).builder().binary("wasm/f.wasm", bytes))
}

/// Returns the problems of an app, or its warnings if it loads.
fn refused(builder: Builder) -> Tested<Option<String>> {
    match builder.load() {
        Ok(runtime) => {
            let generation = runtime.generation();
            let told = told(generation.warnings());
            Ok((!told.is_empty()).then(|| format!("loads, and warns\n{told}")))
        }
        Err(LoadError::App(problems)) => Ok(Some(told(&problems))),
        Err(other) => Err(other.into()),
    }
}

fn told(problems: &Problems) -> String {
    let one = |problem: &crisol::registry::Problem| {
        format!(
            "{}: {}\n  help: {}",
            problem.field().unwrap_or_default(),
            problem.message(),
            problem.help().unwrap_or_default()
        )
    };
    problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Parses the text of a module or component.
fn wat(text: &str) -> Tested<Vec<u8>> {
    Ok(crisol_wit::parse_text(text, None)?)
}

/// Builds a module with one function of this body, without validation.
fn body(instructions: &[u8]) -> Vec<u8> {
    let mut module =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0".to_vec();
    let size = u8::try_from(instructions.len() + 2).unwrap_or(u8::MAX);
    module.extend([0x0a, size + 2, 1, size, 0]);
    module.extend(instructions);
    module.push(0x0b);
    module
}

fn cases() -> Tested<Vec<(&'static str, Vec<u8>, &'static str)>> {
    let component = wat("(component (core module (func nop)))")?;
    // A module that calls every function that it imports.
    let module = |inside: &str| {
        let calls = (0..inside.matches("(func").count()).map(|at| format!("call {at} "));
        let calls: String = calls.collect();
        wat(&format!("(module {inside} (func (export \"f\") unreachable {calls} return))"))
    };
    let many: String = (0..60).map(|at| format!(r#"(import "m{at}" "f" (func))"#)).collect();
    Ok(vec![
        ("empty", vec![], ""),
        ("text", b"hello\n".to_vec(), ""),
        ("html", b"<!DOCTYPE html>".to_vec(), ""),
        ("wat in a .wasm", b"(module)".to_vec(), ""),
        ("wat after a line and a comment", b"\n  ;; mine\n(module)".to_vec(), ""),
        ("wat with a BOM", b"\xef\xbb\xbf(module)".to_vec(), ""),
        ("wat with a block comment", b"(; mine ;) (module)".to_vec(), ""),
        ("wit", b"package a:b;\nworld w {}".to_vec(), ""),
        ("javascript", b"import x from 'y';".to_vec(), ""),
        ("lua", b"return {}".to_vec(), ""),
        ("windows", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".to_vec(), ""),
        ("linux", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(), ""),
        ("mac", b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0".to_vec(), ""),
        ("mac universal", b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec(), ""),
        ("an archive", b"!<arch>\n".to_vec(), ""),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), ""),
        ("zstd", b"\x28\xb5\x2f\xfd\x04\0".to_vec(), ""),
        ("zip", b"PK\x03\x04\x14\0".to_vec(), ""),
        ("brotli or noise", b"\x8b\x0f\x80hello".to_vec(), ""),
        ("llvm bitcode", b"BC\xc0\xde\x35\x14\0\0".to_vec(), ""),
        ("lfs", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), ""),
        ("a PNG", b"\x89PNG\r\n\x1a\n".to_vec(), ""),
        ("magic alone", b"\0asm".to_vec(), ""),
        ("another version", b"\0asm\x02\0\0\0".to_vec(), ""),
        ("an old component", b"\0asm\x0a\0\x01\0".to_vec(), ""),
        ("a newer component", b"\0asm\x0e\0\x01\0".to_vec(), ""),
        ("a component of another layer", b"\0asm\x0d\0\x02\0".to_vec(), ""),
        ("a truncated module", module("")?[..20].to_vec(), ""),
        ("a module cut within its header", b"\0asm\x01\0".to_vec(), ""),
        ("a truncated component", component[..component.len() - 3].to_vec(), ""),
        ("a component with noise behind it", [&component[..], b"\xff\xff\xff"].concat(), ""),
        ("an empty module", wat("(module)")?, ""),
        ("an empty component", wat("(component)")?, ""),
        ("a module of no such export", wat(r#"(module (func (export "g")))"#)?, ""),
        ("a module whose export is no function", wat(r#"(module (memory (export "f") 1))"#)?, ""),
        (
            "an object file",
            wat(
                r#"(module (@custom "linking" "\02") (import "env" "__linear_memory" (memory 0)) (func (export "f")))"#,
            )?,
            "",
        ),
        (
            "a component that imports a module",
            wat(r#"(component (import "m" (core module)))"#)?,
            "",
        ),
        ("shared memory", module("(memory 1 1 shared)")?, ""),
        (
            "an imported shared memory",
            module(r#"(import "env" "memory" (memory 1 16 shared))"#)?,
            "",
        ),
        (
            "atomics",
            wat(
                r#"(module (memory 1) (func (export "f") (drop (i32.atomic.load (i32.const 0)))))"#,
            )?,
            "",
        ),
        ("64-bit memory", module("(memory i64 1)")?, ""),
        (
            "64-bit memory with strings",
            wat(
                r#"(module (memory (export "memory") i64 1) (func (export "cabi_realloc") (param i64 i64 i64 i64) (result i64) unreachable) (func (export "f") (param i64 i64)))"#,
            )?,
            "f: func(a: string);",
        ),
        ("exceptions", module("(tag $t) (func (throw $t))")?, ""),
        ("legacy exceptions", body(b"\x06\x40\x19\x0b"), ""),
        (
            "stack switching",
            module(
                "(type $f (func)) (type $c (cont $f)) (elem declare func $g) (func $g (drop (cont.new $c (ref.func $g))))",
            )?,
            "",
        ),
        (
            "wide arithmetic",
            module(
                "(func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
            )?,
            "",
        ),
        ("custom page sizes", module("(memory 1 (pagesize 1))")?, ""),
        ("gc", module("(type $s (struct (field i32))) (func (drop (struct.new_default $s)))")?, ""),
        ("memory64 component", wat(r#"(component (core module (memory i64 1)))"#)?, ""),
        ("threads in a component", wat(r#"(component (core module (memory 1 1 shared)))"#)?, ""),
        (
            "a 64-bit memory in a component's interface",
            wat(
                r#"(component (core module $m (memory (export "m") i64 1) (func (export "r") (param i64 i64 i64 i64) (result i64) unreachable) (func (export "f") (param i64 i64))) (core instance $i (instantiate $m)) (alias core export $i "m" (core memory $mem)) (alias core export $i "r" (core func $r)) (func (export "f") (param "a" string) (canon lift (core func $i "f") (memory $mem) (realloc $r))))"#,
            )?,
            "",
        ),
        ("error-context", wat(r#"(component (type (func (param "e" error-context))))"#)?, ""),
        (
            "an interface of a later WASI",
            wat(
                r#"(component (import "wasi:cli/environment@0.9.0" (instance (export "get" (func)))))"#,
            )?,
            "",
        ),
        ("an unknown instruction", body(b"\xfd\xff\x7f"), ""),
        ("a type error", body(b"\x41\0"), ""),
        (
            "wasm-bindgen",
            module(
                r#"(import "wbg" "__wbg_log_1" (func)) (import "wbg" "__wbindgen_throw" (func (param i32 i32)))"#,
            )?,
            "",
        ),
        (
            "wasm-bindgen before it is processed",
            module(
                r#"(import "__wbindgen_placeholder__" "__wbindgen_describe" (func (param i32)))"#,
            )?,
            "",
        ),
        ("emscripten, minified", module(r#"(import "a" "a" (func)) (import "a" "b" (func))"#)?, ""),
        (
            "emscripten",
            module(
                r#"(import "env" "emscripten_resize_heap" (func (param i32) (result i32))) (import "env" "_embind_register_void" (func))"#,
            )?,
            "",
        ),
        ("assemblyscript", module(r#"(import "env" "abort" (func (param i32 i32 i32 i32)))"#)?, ""),
        (
            "go for javascript",
            module(r#"(import "gojs" "runtime.wasmExit" (func (param i32)))"#)?,
            "",
        ),
        ("go for javascript, older", module(r#"(import "go" "debug" (func (param i32)))"#)?, ""),
        (
            "several missing imports",
            module(
                r#"(import "env" "log" (func)) (import "env" "now" (func)) (import "host" "get" (func))"#,
            )?,
            "",
        ),
        (
            "missing imports of several origins",
            module(
                r#"(import "env" "emscripten_f" (func)) (import "env" "g" (func)) (import "host" "get" (func))"#,
            )?,
            "",
        ),
        ("very many missing imports", module(&many)?, ""),
        ("wasi before preview 1", module(r#"(import "wasi_unstable" "fd_write" (func))"#)?, ""),
        (
            "an unknown function of preview 1",
            module(r#"(import "wasi_snapshot_preview1" "fd_wriet" (func))"#)?,
            "",
        ),
        (
            "preview 1 without a memory",
            wat(
                r#"(module (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
                    (func (export "f") (drop (call $close (i32.const 1)))))"#,
            )?,
            "",
        ),
        (
            "an allocator of another type",
            wat(r#"(module (memory (export "memory") 1) (func (export "f") (param i32 i32))
                    (func (export "cabi_realloc") (param i64) (result i32) i32.const 0))"#)?,
            "f: func(text: string);",
        ),
        (
            "a preview 1 function of another type",
            wat(
                r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64))) (memory (export "memory") 1) (func (export "f")))"#,
            )?,
            "",
        ),
        (
            "wasi threads",
            module(r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#)?,
            "",
        ),
        (
            "an interface of components in a module",
            module(r#"(import "wasi:cli/exit@0.2.0" "exit" (func (param i32)))"#)?,
            "",
        ),
        (
            "a function taken as a component's",
            wat(r#"(module (import "a:b/c" "d" (func)) (func (export "f")))"#)?,
            "f: func();",
        ),
    ])
}

/// Returns the problems of an app with one `function.wat`, or its warnings.
fn refused_text(text: &str) -> Tested<Option<String>> {
    let mut entry =
        "  - name: f\n    kind: function.wat\n    method: f\n    source: |\n".to_owned();
    text.lines().try_for_each(|line| writeln!(entry, "      {line}"))?;
    refused(AppBuilder::new("n").entries(&entry).builder())
}

/// Texts that cannot become a function.
fn texts() -> Vec<(&'static str, String)> {
    let f = r#"(func (export "f"))"#;
    let module = |inside: &str| format!("(module {inside}\n  {f})");
    vec![
        ("an unknown instruction", module("(func i32.cons)")),
        ("exceptions in their legacy encoding, nested", module("\n(func (try (do) (catch_all)))")),
        ("exceptions in their legacy encoding", module("(func try catch_all end)")),
        ("a word of that encoding elsewhere", module("(func do)")),
        ("a type error", module(r#"(import "a" "b" (func)) (func $g i32.const 0)"#)),
        ("a type error without a name", module("(func) (func i32.const 0)")),
        ("a type error in a component", "(component (core module (func (result i32))))".to_owned()),
        ("no export", "(module (func))".to_owned()),
        ("threads", module("(memory 1 1 shared)")),
    ]
}

#[test]
fn invalid_code_is_reported_by_its_kind() -> Tested {
    let mut found = String::new();
    for (name, bytes, wit) in cases()? {
        let told = refusal(&bytes, "f", wit)?;
        writeln!(found, "# {name}\n{}\n", told.as_deref().unwrap_or("loads").trim())?;
    }
    for (name, text) in texts() {
        let told = refused_text(&text)?;
        writeln!(found, "# text: {name}\n{}\n", told.as_deref().unwrap_or("loads").trim())?;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/refused.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found)?;
    } else {
        assert_eq!(found, std::fs::read_to_string(&path)?, "BLESS=1 writes {}", path.display());
    }
    Ok(())
}
