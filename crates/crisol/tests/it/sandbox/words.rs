//! Output, panics and arguments of guests without `imports`, and the base of their relative paths.

use crisol::{Args, Exit, Stdio};

use crate::sandbox::support::{App, Log, call};

#[tokio::test]
async fn a_guest_without_imports_speaks_and_panics_readably() {
    let (log, _guard) = Log::start();
    let app = App::new()
        .guest("probe", "print", "pool: {type: inline}")
        .guest("probe", "trap-now", "pool: {type: inline}")
        .guest("probe", "grow", "pool: {type: inline}, limits: {max_memory_bytes: 4194304}")
        .guest("probe", "env-var", "pool: {type: inline}");
    let runtime = app.load();
    assert_eq!(call(&runtime, "print", ("out\n", "err\n")).await, "null");
    assert_eq!(call(&runtime, "env_var", ("HOME",)).await, "null");
    let trap = call(&runtime, "trap_now", ()).await;
    let text = log.text();
    assert!(
        text.contains("out function=a:print") && text.contains("err function=a:print"),
        "{text}"
    );
    let reason = "failed: `a:trap_now` trapped: wasm `unreachable` instruction executed\n    0: ";
    assert!(trap.starts_with(reason), "{trap}");
    assert!(trap.lines().skip(1).all(|line| line.contains(": <function ")), "{trap}");
    for hidden in ["panicking", "rust_panic", "__rustc", "\u{fffd}", "note: "] {
        assert!(!trap.contains(hidden), "{hidden}: {trap}");
    }
}

#[tokio::test]
async fn command_without_grant_has_no_terminal() {
    let (log, _guard) = Log::start();
    let hash = crisol_fixtures::sha256("cli-hello");
    let entry = format!(
        "{{name: hello, kind: process.wasm, fs: guests, path: /cli-hello.wasm, hash: \"sha256:{hash}\", method: run}}"
    );
    let runtime = App::new().entry(&entry).load();
    let command = runtime.command("a:hello").unwrap();
    let arguments = ["--exit".to_owned(), "3".to_owned()];
    let exit = command.run(&arguments, Args::Json(b"[]"[..].into()), Stdio::Terminal).await;
    // Arguments need a grant too.
    assert!(matches!(exit, Ok(Exit::Code(0))), "{exit:?}");
    assert!(log.text().contains("hello function=a:hello"), "{}", log.text());
}

#[tokio::test]
async fn relative_paths_begin_in_the_working_directory() {
    let imports = "imports: [\"wasi:cli\", \"wasi:filesystem\"]";
    let mount = |cwd: &str, guest: &str, more: &str| {
        format!("{imports}, wasi: {{cwd: {cwd}, mounts: [{{fs: data, guest: {guest}{more}}}]}}")
    };
    let app = App::new()
        .guest_as("below", "probe", "read-file", &mount("/mnt/sub", "/mnt", ""))
        .guest_as("whole", "probe", "read-file", &mount("/mnt", "/mnt", ""))
        .guest_as("write", "probe", "write-file", &mount("/mnt", "/mnt", ", read_only: true"))
        .guest_as("elsewhere", "probe", "read-file", &mount("/other", "/mnt", ""))
        .guest_as("missing", "probe", "read-file", &mount("/mnt/none", "/mnt", ""))
        .guest_as("root", "probe", "read-file", &mount("/sub", "/", ""));
    std::fs::create_dir(app.data("sub")).unwrap();
    std::fs::write(app.data("sub/x"), "below").unwrap();
    std::fs::write(app.data("x"), "above").unwrap();
    let runtime = app.load();
    assert_eq!(call(&runtime, "below", ("x",)).await, "\"below\"");
    assert_eq!(call(&runtime, "below", ("/mnt/x",)).await, "\"above\"");
    assert_eq!(call(&runtime, "whole", ("sub/x",)).await, "\"below\"");
    for (path, text) in [("../x", "above"), ("../sub/x", "below"), ("../sub/../x", "above")] {
        assert_eq!(call(&runtime, "below", (path,)).await, format!("\"{text}\""), "{path}");
    }
    for path in ["../../x", "../../../etc/hostname", "../sub/../../x", "./../x"] {
        assert!(call(&runtime, "below", (path,)).await.starts_with("err: "), "{path} leads out");
    }
    assert!(
        call(&runtime, "write", ("y", "text")).await.starts_with("err: "),
        "the mount's rights"
    );
    assert!(!app.data("y").exists());
    let generation = runtime.generation();
    let warnings = generation.warnings().to_string();
    for (name, why) in [
        ("elsewhere", "no mount contains it"),
        ("missing", "`none` in `a:data` cannot be opened"),
        ("root", "a mount at `/` also captures relative paths"),
    ] {
        let line = format!("in `a:{name}`");
        assert!(warnings.contains(&line) && warnings.contains(why), "{name}: {warnings}");
    }
    assert!(!warnings.contains("a:below") && !warnings.contains("a:whole"), "{warnings}");
}

#[tokio::test]
async fn relative_paths_of_preview_1_begin_there_too() {
    let hash = crisol_fixtures::sha256("p1-cat");
    let entry = format!(
        "{{name: cat, kind: process.wasm, fs: guests, path: /p1-cat.wasm, hash: \"sha256:{hash}\", method: _start, imports: [preview1], wasi: {{cwd: /mnt/sub, mounts: [{{fs: data, guest: /mnt}}]}}}}"
    );
    let app = App::new().entry(&entry);
    std::fs::create_dir(app.data("sub")).unwrap();
    std::fs::write(app.data("sub/x"), "below").unwrap();
    let (log, _guard) = Log::start();
    let runtime = app.load();
    let command = runtime.command("a:cat").unwrap();
    std::fs::write(app.data("z"), "below it is above").unwrap();
    for (path, code) in [("x", 0), ("/mnt/sub/x", 0), ("../z", 0), ("y", 1), ("../../z", 1)] {
        let exit = command.run(&[path.to_owned()], Args::Json(b"[]"[..].into()), Stdio::Log).await;
        assert!(matches!(exit, Ok(Exit::Code(found)) if found == code), "{path}: {exit:?}");
    }
    assert_eq!(log.text().matches("below").count(), 3, "{}", log.text());
}
