//! Excessive or malformed calls of preview 1, whose functions accept arbitrary memory contents. No toolchain would
//! produce such calls.

use crisol::Runtime;

use crate::sandbox::support::{App, Log, call, module_of_preview_1};

/// Code of each case; its index is the guest's argument, and the code returns an error number.
const CASES: [(&str, &str); 12] = [
    // A gigabyte into a memory of 64 KiB.
    ("random", "(call $random_get (i32.const 0) (i32.const 0x40000000))"),
    // A million subscriptions outside of memory.
    (
        "poll outside of memory",
        "(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 1000000) (i32.const 0))",
    ),
    // The same within memory: each is a timer of an hour.
    (
        "poll",
        "(block (result i32)
            (drop (memory.grow (i32.const 1300)))
            (call $subscribe (i32.const 1000000))
            (call $poll_oneoff (i32.const 65536) (i32.const 50000000) (i32.const 1000000) (i32.const 16)))",
    ),
    // 2^27 buffers outside of memory, and 100 000 empty ones.
    ("write outside of memory", "(call $fd_write (i32.const 1) (i32.const 0) (i32.const 0x8000000) (i32.const 0))"),
    (
        "write nothing",
        "(block (result i32)
            (drop (memory.grow (i32.const 20)))
            (call $fd_write (i32.const 1) (i32.const 65536) (i32.const 100000) (i32.const 16)))",
    ),
    // One buffer of 2 GiB in a small memory.
    (
        "write what is not there",
        "(block (result i32)
            (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 0x7fffffff))
            (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 16)))",
    ),
    // An hour of sleep.
    (
        "sleep",
        "(block (result i32)
            (drop (memory.grow (i32.const 1)))
            (call $subscribe (i32.const 1))
            (call $poll_oneoff (i32.const 65536) (i32.const 0) (i32.const 1) (i32.const 16)))",
    ),
    // Names: with a NUL, of 60 000 bytes, not UTF-8, outside of memory.
    ("a name with a NUL", "(call $open (i32.const 1024) (i32.const 3))"),
    (
        "a long name",
        "(block (result i32)
            (memory.fill (i32.const 4096) (i32.const 97) (i32.const 60000))
            (call $open (i32.const 4096) (i32.const 60000)))",
    ),
    ("a name that is no text", "(call $open (i32.const 1040) (i32.const 2))"),
    ("a name outside of memory", "(call $open (i32.const 65530) (i32.const 1000))"),
    // A name with a line break, which is allowed.
    ("a name with a line break", "(call $open (i32.const 1056) (i32.const 3))"),
];

fn module() -> String {
    let types = [
        ("random_get", "i32 i32"),
        ("poll_oneoff", "i32 i32 i32 i32"),
        ("fd_write", "i32 i32 i32 i32"),
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ];
    let mut text = module_of_preview_1(&types);
    text += r#"(memory (export "memory") 1)
(data (i32.const 1024) "x\00y") (data (i32.const 1040) "\ff\fe") (data (i32.const 1056) "x\0ay")
(func $open (param i32 i32) (result i32)
  (call $path_open (i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 64)))
(func $subscribe (param i32) (local $at i32)
  (local.set $at (i32.const 65536))
  (loop
    (i32.store offset=16 (local.get $at) (i32.const 1))
    (i64.store offset=24 (local.get $at) (i64.const 3600000000000))
    (local.set $at (i32.add (local.get $at) (i32.const 48)))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
(func (export "f") (param i32) (result i32)
"#;
    for (at, (_, code)) in CASES.iter().enumerate() {
        text += &format!("(if (i32.eq (local.get 0) (i32.const {at})) (then (return {code})))\n");
    }
    text + "(i32.const 0)))"
}

fn app(limit_ms: u32) -> App {
    let source = module().replace('\n', "\n    ");
    App::new().entry(&format!(
        "name: f\nkind: function.wat\nmethod: f\nimports: [wasi1]\nlimits: {{max_execution_ms: {limit_ms}}}\nwasi: {{mounts: [{{fs: data, guest: /data}}]}}\nsource: |\n    {source}\n"
    ))
}

async fn case(runtime: &Runtime, name: &str) -> String {
    let at = CASES.iter().position(|(known, _)| *known == name).unwrap();
    call(runtime, "f", (at,)).await
}

#[tokio::test]
async fn excessive_requests_are_refused_and_harm_no_other_call() {
    let (_log, _guard) = Log::start();
    let runtime = app(60_000).load();
    assert_eq!(call(&runtime, "f", (CASES.len(),)).await, "0");
    for name in [
        "random",
        "poll outside of memory",
        "poll",
        "write outside of memory",
        "write what is not there",
    ] {
        let told = case(&runtime, name).await;
        // The host refuses with an error number, or ends the call.
        assert!(told != "0" && !told.starts_with("err: "), "{name}: {told}");
        assert_eq!(call(&runtime, "f", (CASES.len(),)).await, "0", "after {name}");
    }
    assert_eq!(case(&runtime, "write nothing").await, "0");
    let slept = case(&app(500).load(), "sleep").await;
    assert!(slept.starts_with("failed: ") && slept.contains("500"), "{slept}");
}

#[tokio::test]
async fn odd_file_names_are_refused_or_literal() {
    let app = app(60_000);
    let runtime = app.load();
    for name in
        ["a name with a NUL", "a long name", "a name that is no text", "a name outside of memory"]
    {
        let told = case(&runtime, name).await;
        assert!(told != "0", "{name}: {told}");
        assert_eq!(app.data("").read_dir().unwrap().count(), 0, "{name}");
    }
    assert_eq!(case(&runtime, "a name with a line break").await, "0");
    let made = app.data("").read_dir().unwrap().next().unwrap().unwrap().file_name();
    assert_eq!(made, "x\ny");
}
