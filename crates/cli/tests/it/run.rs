//! `crisol run`: commands by their name, on pipes and on a terminal.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{App, Problem, Run, Tested, crisol_command};
use expect_test::expect;
use rexpect::session::{PtySession, spawn_command};

/// A `process.wasm` entry called `name`, with a guest and further fields.
fn entry(name: &str, guest: &str, fields: &str) -> String {
    let hash = crisol_fixtures::sha256(guest);
    let fields: String = fields.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "  - name: {name}\n    kind: process.wasm\n    meta: {{command: {{name: {name}}}}}\n    fs: assets\n    path: /{guest}.wasm\n    hash: sha256:{hash}\n{fields}"
    )
}

/// Preview 1 command that prints a line and then computes endlessly.
const LOOP: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\08\00\00\00looping\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (loop $again (br $again))))
"#;

/// Preview 1 command that exits with the number of kilobytes of its arguments.
const COUNTS: &str = r#"
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 8)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 8) (i32.const 131072)))
    (call $exit (i32.div_u (i32.load (i32.const 4)) (i32.const 1000)))))
"#;

const HELLO: &str = "method: wasi:cli/run#run\nimports: [wasi:cli, wasi:io]\n";

/// Its entry, with a hash to pin.
fn looping() -> String {
    preview_1("loop")
}

/// Entry of a preview 1 command.
fn preview_1(name: &str) -> String {
    let hash = "0".repeat(64);
    format!(
        "  - name: {name}\n    kind: process.wasm\n    meta: {{command: {{name: {name}}}}}\n    fs: assets\n    path: /{name}.wasm\n    hash: sha256:{hash}\n    method: _start\n    imports: [wasi1]\n"
    )
}

fn commands() -> Tested<App> {
    let cat = "method: _start\nimports: [wasi1]\nwasi: {env: [{id: word, name: WORD}]}\n";
    let variables = "  - name: memory\n    kind: env.storage.memory\n  - name: word\n    kind: env.variable\n    storage: memory\n    variable: WORD\n    default: from the registry\n";
    let entries = [
        entry("hello", "cli-hello", HELLO),
        entry("cat", "p1-cat", cat),
        entry("greet", "greet", "method: greet\n"),
        entry("spin", "probe", "method: spin\n"),
        entry("short", "probe", "method: spin\nlimits: {max_execution_ms: 50}\n"),
        variables.to_owned(),
    ];
    App::new(&entries.concat(), &["cli-hello", "p1-cat", "greet", "probe"])
}

/// Runs the program with standard input.
fn feed(app: &App, args: &[&str], stdin: &str) -> Tested<Run> {
    let mut child = crisol_command(app.path(), args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("stdin is piped")?.write_all(stdin.as_bytes())?;
    Run::of(child.wait_with_output()?)
}

#[test]
fn streams_arguments_and_exit_code_are_the_guests() -> Tested {
    let app = commands()?;
    let run = feed(&app, &["run", "hello", "--exit", "7", "big", "world"], "one\ntwo\n")?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(7), "hello big world\none\ntwo\n"));
    assert_eq!(run.stderr, "");
    let run = feed(&app, &["run", "myns:hello"], "")?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "hello\n"));
    Ok(())
}

#[test]
fn a_preview_1_command_starts_by_start() -> Tested {
    let app = commands()?;
    let run = feed(&app, &["run", "cat", "$WORD", "-"], "what comes in\n")?;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "from the registry\nwhat comes in\n"),
        "{run:?}"
    );
    let run = feed(&app, &["run", "cat", "missing"], "")?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.starts_with("p1-cat: missing: "), "{run:?}");
    Ok(())
}

#[test]
fn preview_1_command_takes_large_arguments_and_exits_with_its_code() -> Tested {
    let app = App::new(&preview_1("counts"), &[])?;
    std::fs::write(app.path().join("wasm/counts.wasm"), wat::parse_str(COUNTS)?)?;
    assert_eq!(app.run(&["pin"])?.code, Some(0));
    for kilobytes in [0, 60, 120] {
        let argument = "x".repeat(kilobytes * 1000);
        let run = app.run(&["run", "counts", &argument])?;
        assert_eq!((run.code, run.stderr.as_str()), (i32::try_from(kilobytes).ok(), ""));
    }
    let words: Vec<String> = (0..8_000).map(|at| format!("{at:09}")).collect();
    let words: Vec<&str> =
        ["run", "counts"].into_iter().chain(words.iter().map(String::as_str)).collect();
    assert_eq!(app.run(&words)?.code, Some(80));
    let big = "x".repeat(100_000);
    let run = app.run(&["run", "counts", &big, &big, &big[..55_000]])?;
    assert_eq!(run.code, Some(255));
    Ok(())
}

#[test]
fn a_plain_method_takes_values_and_its_result_is_printed() -> Tested {
    let run = commands()?.run(&["run", "greet", "Ana"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "\"Hello, Ana!\"\n"));
    Ok(())
}

#[test]
fn failure_outside_of_the_guest_has_its_own_exit_code() -> Tested {
    let app = commands()?;
    let run = app.run(&["run", "helo"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
    expect!["error: unknown command `helo`: did you mean `hello`?\n"].assert_eq(&run.stderr);
    let run = app.run(&["run", "greet"])?;
    assert_eq!(run.code, Some(125));
    expect!["error: `myns:greet` cannot take these arguments: expected 1 argument (body: string), found 0\n"]
        .assert_eq(&run.stderr);
    let run = app.run(&["run", "short"])?;
    assert_eq!(run.code, Some(125));
    assert!(
        run.stderr.contains("`myns:short` ran out of time (`limits.max_execution_ms` is 50)"),
        "{run:?}"
    );
    Ok(())
}

/// Preview 1 command that writes lines endlessly.
const FLOOD: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\00\40\00\00")
  (func (export "_start")
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32768)))
      (br $again))))
"#;

#[test]
fn command_with_unread_output_ends_at_its_deadline() -> Tested {
    let app = App::new(&(preview_1("flood") + "    limits: {max_execution_ms: 200}\n"), &[])?;
    std::fs::write(app.path().join("wasm/flood.wasm"), wat::parse_str(FLOOD)?)?;
    assert_eq!(app.run(&["pin"])?.code, Some(0));
    let mut child = crisol_command(app.path(), &["run", "flood"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // The unread end stays open until the program has ended.
    let unread = child.stdout.take();
    let run = Run::of(child.wait_with_output()?)?;
    drop(unread);
    assert_eq!(run.code, Some(125), "{run:?}");
    let late = "`myns:flood` ran out of time (`limits.max_execution_ms` is 200)";
    assert!(run.stderr.contains(late), "{run:?}");
    Ok(())
}

#[test]
fn a_command_without_imports_runs_and_speaks_to_the_log() -> Tested {
    let app = App::new(&entry("hello", "cli-hello", "method: wasi:cli/run#run\n"), &["cli-hello"])?;
    let run = app.run(&["run", "hello"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.stderr.contains("crisol::guest: hello function=myns:hello"), "{run:?}");
    Ok(())
}

#[test]
fn the_commands_are_listed() -> Tested {
    let run = commands()?.run(&["run", "--list"])?;
    assert_eq!(run.code, Some(0));
    expect![[r#"
        cat    myns:cat
        greet  myns:greet
        hello  myns:hello
        short  myns:short
        spin   myns:spin
    "#]]
    .assert_eq(&run.stdout);
    let run = App::new("", &[])?.run(&["run", "hello"])?;
    expect!["error: unknown command `hello`: the app has no commands: add a `process.wasm` entry, and set its name in `meta.command.name`\n"].assert_eq(&run.stderr);
    Ok(())
}

/// Runs the program on a terminal of its own.
fn on_a_terminal(app: &App, args: &[&str]) -> Result<PtySession, rexpect::error::Error> {
    let command: Command = crisol_command(app.path(), args);
    spawn_command(command, Some(600_000))
}

#[test]
fn terminal_input_and_output_are_interactive() -> Tested {
    let app = commands()?;
    let mut terminal = on_a_terminal(&app, &["run", "hello", "you"]).map_err(Problem::from)?;
    terminal.exp_string("hello you")?;
    // The terminal does not echo, so the output is the guest's.
    terminal.send_line("typed")?;
    terminal.exp_string("typed")?;
    terminal.send_line("again")?;
    terminal.exp_string("again")?;
    terminal.send_control('d')?;
    terminal.exp_eof()?;
    assert_eq!(ended(&terminal)?, "0)");
    Ok(())
}

#[test]
fn ctrl_c_ends_a_guest_that_computes_and_one_that_reads() -> Tested {
    let app = App::new(&(looping() + &entry("hello", "cli-hello", HELLO)), &["cli-hello"])?;
    std::fs::write(app.path().join("wasm/loop.wasm"), wat::parse_str(LOOP)?)?;
    assert_eq!(app.run(&["pin"])?.code, Some(0));
    let mut terminal = on_a_terminal(&app, &["run", "loop"])?;
    terminal.exp_string("looping")?;
    terminal.send_control('c')?;
    terminal.exp_eof()?;
    assert_eq!(ended(&terminal)?, "130)");
    let mut terminal = on_a_terminal(&app, &["run", "hello"])?;
    terminal.exp_string("hello")?;
    terminal.send_control('c')?;
    terminal.exp_eof()?;
    assert_eq!(ended(&terminal)?, "130)");
    Ok(())
}

/// Exit status of a process: `Exited(Pid(…), CODE)`.
fn ended(terminal: &PtySession) -> Tested<String> {
    let status = format!("{:?}", terminal.process().wait()?);
    let (_, code) = status.split_once(", ").ok_or("a status has two parts")?;
    Ok(code.to_owned())
}
