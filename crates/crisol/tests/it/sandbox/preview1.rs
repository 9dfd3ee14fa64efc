//! Core modules of preview 1: every call that changes a folder, against a read-only mount.

use crisol::Runtime;

use crate::sandbox::support::{App, call, module_of_preview_1};

/// Calls by number, as the operands that each pushes, on the preopened folder 3. Memory holds `x` at 0, `new` at 8.
const CALLS: [(&str, &str); 17] = [
    (
        "create",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 3) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64))",
    ),
    (
        "create-exclusive",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 3) (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64))",
    ),
    (
        "truncate",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64))",
    ),
    (
        "open to write",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64))",
    ),
    ("mkdir", "(call $path_create_directory (i32.const 3) (i32.const 8) (i32.const 3))"),
    ("rmdir", "(call $path_remove_directory (i32.const 3) (i32.const 16) (i32.const 5))"),
    ("unlink", "(call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 1))"),
    (
        "rename",
        "(call $path_rename (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 8) (i32.const 3))",
    ),
    (
        "link",
        "(call $path_link (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 8) (i32.const 3))",
    ),
    (
        "symlink",
        "(call $path_symlink (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 8) (i32.const 3))",
    ),
    (
        "set times",
        "(call $path_filestat_set_times (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i64.const 0) (i64.const 0) (i32.const 5))",
    ),
    (
        "leave",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 24) (i32.const 9) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))",
    ),
    (
        "set size of a file",
        "(block (result i32) (drop (call $open_x)) (call $fd_filestat_set_size (i32.load (i32.const 64)) (i64.const 0)))",
    ),
    (
        "set times of a file",
        "(block (result i32) (drop (call $open_x)) (call $fd_filestat_set_times (i32.load (i32.const 64)) (i64.const 0) (i64.const 0) (i32.const 5)))",
    ),
    (
        "reserve space for a file",
        "(block (result i32) (drop (call $open_x)) (call $fd_allocate (i32.load (i32.const 64)) (i64.const 0) (i64.const 4096)))",
    ),
    (
        "write to a file",
        "(block (result i32) (drop (call $open_x)) (i32.store (i32.const 84) (i32.const 1)) (call $fd_write (i32.load (i32.const 64)) (i32.const 80) (i32.const 1) (i32.const 96)))",
    ),
    (
        "write to a file that has the number of the standard output",
        "(block (result i32) (drop (call $open_x)) (i32.store (i32.const 84) (i32.const 1))
            (drop (call $fd_renumber (i32.load (i32.const 64)) (i32.const 1)))
            (call $fd_write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 96)))",
    ),
];

fn module() -> String {
    let types = [
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ("path_create_directory", "i32 i32 i32"),
        ("path_remove_directory", "i32 i32 i32"),
        ("path_unlink_file", "i32 i32 i32"),
        ("path_rename", "i32 i32 i32 i32 i32 i32"),
        ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
        ("path_symlink", "i32 i32 i32 i32 i32"),
        ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
        ("fd_filestat_set_size", "i32 i64"),
        ("fd_filestat_set_times", "i32 i64 i64 i32"),
        ("fd_allocate", "i32 i64 i64"),
        ("fd_write", "i32 i32 i32 i32"),
        ("fd_renumber", "i32 i32"),
    ];
    let mut text = module_of_preview_1(&types);
    text += "(memory (export \"memory\") 1)
(data (i32.const 0) \"x\") (data (i32.const 8) \"new\") (data (i32.const 16) \"empty\") (data (i32.const 24) \"../secret\")
(func $open_x (result i32) (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
(func (export \"f\") (param i32) (result i32)\n";
    for (at, (_, code)) in CALLS.iter().enumerate() {
        text += &format!("(if (i32.eq (local.get 0) (i32.const {at})) (then (return {code})))\n");
    }
    text + "(call $open_x)))"
}

fn entry(more: &str) -> String {
    let source = module().replace('\n', "\n    ");
    format!("name: f\nkind: function.wat\nmethod: f\n{more}source: |\n    {source}\n")
}

#[tokio::test]
async fn preview_1_cannot_change_a_read_only_mount() {
    let mount = |read_only: bool| {
        format!(
            "imports: [wasi1]\nwasi: {{mounts: [{{fs: data, guest: /data, read_only: {read_only}}}]}}\n"
        )
    };
    let app = App::new().entry(&entry(&mount(true)));
    std::fs::write(app.data("x"), "inside").unwrap();
    std::fs::create_dir(app.data("empty")).unwrap();
    std::fs::write(app.outside("app/secret"), "outside").unwrap();
    let runtime = app.load();
    let x = || std::fs::metadata(app.data("x")).unwrap();
    let before = x().modified().unwrap();
    assert_eq!(call(&runtime, "f", (CALLS.len(),)).await, "0", "reading works");
    for (at, (name, _)) in CALLS.iter().enumerate() {
        let code = call(&runtime, "f", (at,)).await;
        // ACCES, BADF, NOTCAPABLE, PERM, ROFS; NOTSUP for calls that no mount supports.
        assert!(["2", "8", "76", "63", "69", "58"].contains(&code.as_str()), "{name}: {code}");
    }
    let mut names: Vec<_> =
        app.data("").read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["empty", "x"]);
    assert_eq!((x().len(), x().modified().unwrap()), (6, before));

    // The same calls on a writable mount succeed, which shows that it is the mount that refuses.
    let app = App::new().entry(&entry(&mount(false)));
    std::fs::write(app.data("x"), "inside").unwrap();
    let runtime = app.load();
    assert_eq!(call(&runtime, "f", (10,)).await, "0", "set times");
    assert_eq!(call(&runtime, "f", (0,)).await, "0", "create");
    assert!(app.data("new").exists());
}

#[tokio::test]
async fn one_token_grants_preview_1_and_its_folders() {
    let app = App::new().entry(&entry("wasi: {mounts: [{fs: data, guest: /data}]}\n"));
    std::fs::write(app.data("x"), "inside").unwrap();
    let badf = "8";
    assert_eq!(call(&app.load(), "f", (CALLS.len(),)).await, badf);
}

/// Builds the entry of a module in text.
fn module_entry(name: &str, source: &str, more: &str) -> String {
    let source = source.replace('\n', "\n    ");
    format!("name: {name}\nkind: function.wat\nmethod: f\n{more}source: |\n    {source}\n")
}

/// Returns the warnings about functions, with their help.
fn warnings(runtime: &Runtime) -> Vec<String> {
    let generation = runtime.generation();
    let told = generation
        .warnings()
        .iter()
        .map(|warning| format!("{}; {}", warning.message(), warning.help().unwrap_or_default()));
    told.filter(|warning| !warning.starts_with("unused entry")).collect()
}

#[tokio::test]
async fn core_types_define_the_signature_without_wit() {
    let seventeen = format!(
        "(module (func (export \"f\") (param {}) (result i32) (local.get 16)))",
        "i32 ".repeat(17)
    );
    let two = "(module (func (export \"f\") (result i32 f64) (i32.const 1) (f64.const 2.5)))";
    let app = App::new()
        .entry(&module_entry("seventeen", &seventeen, ""))
        .entry(&module_entry("two", two, ""))
        .entry(
            &module_entry("named", &two.replace("\"f\"", "\"a.b c\""), "")
                .replace("method: f", "method: a.b c"),
        );
    let runtime = app.load();
    assert_eq!(warnings(&runtime), Vec::<String>::new());
    let args: Vec<i32> = (0..17).collect();
    assert_eq!(call(&runtime, "seventeen", args).await, "16");
    for name in ["two", "named"] {
        assert_eq!(call(&runtime, name, ()).await, "[1,2.5]");
    }
}

#[tokio::test]
async fn core_module_failure_is_reported_with_a_fix() {
    let memory = "(memory (export \"memory\") 1)";
    let utf16 = |at: u32, text: &str| {
        let units: String = text.bytes().map(|byte| format!("\\{byte:02x}\\00")).collect();
        format!("(data (i32.const {}) \"\\{:02x}\\00\\00\\00{units}\")", at - 4, 2 * text.len())
    };
    let throws = format!(
        "(module (import \"env\" \"abort\" (func $abort (param i32 i32 i32 i32))) {memory} {} {}
        (func (export \"f\") (call $abort (i32.const 16) (i32.const 64) (i32.const 7) (i32.const 9))))",
        utf16(16, "too large"),
        utf16(64, "assembly/index.ts"),
    );
    let exits = "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32))) (func (export \"f\") (call $exit (i32.const 200))))";
    let unknown = "(module (import \"env\" \"log\" (func $log (param i32))) (func (export \"f\") (call $log (i32.const 1))))";
    let dated = format!(
        "{}{memory} (func (export \"f\") (result i32) (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 8))))",
        module_of_preview_1(&[("clock_time_get", "i32 i64 i32")])
    );
    let app = App::new()
        .entry(&module_entry("throws", &throws, ""))
        .entry(&module_entry("exits", exits, ""))
        .entry(&module_entry("unknown", unknown, ""))
        .entry(&module_entry("dated", &dated, ""))
        .entry(&module_entry("granted", &dated, "imports: [\"wasi:clocks\"]\n"))
        .entry(&module_entry("one_token", &dated, "imports: [preview1]\n"));
    let runtime = app.load();
    let throw = call(&runtime, "throws", ()).await;
    let reason = "failed: `a:throws` trapped: abort: too large at assembly/index.ts:7:9\n    0: ";
    assert!(throw.starts_with(reason), "{throw}");
    assert_eq!(
        call(&runtime, "exits", ()).await,
        "failed: `a:exits` exited with code 200 before it answered"
    );
    assert_eq!(
        call(&runtime, "unknown", ()).await,
        "failed: `a:unknown` called `env#log`, which this host does not have: no import grants it, since nothing provides this `(i32)`: the linker left it unresolved in `env`; link the missing code, or declare it as an import of a world in `wit`"
    );
    assert_eq!(
        call(&runtime, "dated", ()).await,
        "failed: `a:dated` called `wasi_snapshot_preview1#clock_time_get`, which its entry does not import: add `wasi:clocks` to its `imports`"
    );
    for name in ["granted", "one_token"] {
        assert_eq!(call(&runtime, name, ()).await, "0");
    }
    assert_eq!(
        warnings(&runtime),
        [
            "the method may call imports that nothing provides: `env#log`; the linker left it unresolved in `env`: link the missing code, or declare it as an import of a world in `wit`",
            "the method may call what is not declared: `wasi_snapshot_preview1#clock_time_get`; add those that calls need to `imports`: `wasi:clocks`",
        ]
    );
}
