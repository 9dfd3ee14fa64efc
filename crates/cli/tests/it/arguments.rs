//! Arguments of `call`, options and variables of the environment.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{App, Run, Tested, crisol, crisol_command, tour};

/// Functions that return their argument: a text, bytes, and numbers.
const ECHO: &str = r#"  - name: text
    kind: function.wat
    source: &echo |
      (module
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
          (local $at i32)
          (local.set $at (global.get $next))
          (global.set $next (i32.add (local.get $at) (local.get 3)))
          (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16)))))
          (local.get $at))
        (func (export "echo") (param i32 i32) (result i32)
          (i32.store (i32.const 0) (local.get 0))
          (i32.store (i32.const 4) (local.get 1))
          (i32.const 0)))
    wit: 'echo: func(text: string) -> string;'
    method: echo
  - {name: bytes, kind: function.wat, source: *echo, wit: 'echo: func(bytes: list<u8>) -> list<u8>;', method: echo}
  - {name: numbers, kind: function.wat, source: *echo, wit: 'echo: func(numbers: list<u8>) -> list<u8>;', method: echo}
"#;

fn fed(app: &App, args: &[&str], stdin: &[u8]) -> Tested<Run> {
    let mut command = crisol_command(app.path(), args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(stdin)?;
    Run::of(child.wait_with_output()?)
}

#[test]
fn an_argument_for_a_string_is_its_text() -> Tested {
    let app = App::new(ECHO, &[])?;
    for (arg, said) in
        [("12", "12"), ("true", "true"), ("{\"a\": 1}", "{\"a\": 1}"), ("\"12\"", "12"), ("@", "@")]
    {
        let run = app.run(&["call", "myns:text", arg])?;
        assert_eq!(run.stdout, format!("{}\n", serde_json::Value::from(said)), "{run:?}");
    }
    Ok(())
}

#[test]
fn malformed_json_is_reported_with_its_column() -> Tested {
    let app = App::new(ECHO, &[])?;
    let run = app.run(&["call", "myns:numbers", "[1, 2,]"])?;
    let said = "error: `myns:numbers` cannot take these arguments: argument 1 (numbers): not valid JSON: column 7: trailing comma\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), said));
    Ok(())
}

/// An argument on the command line has at most 128 KiB; files and standard input may have more.
#[test]
fn arguments_come_from_files_and_from_standard_input() -> Tested {
    let app = App::new(ECHO, &[])?;
    let large = "é".repeat(200_000);
    let path = app.path().join("large.txt");
    std::fs::write(&path, &large)?;
    let from_file = app.run(&["call", "myns:text", &format!("@{}", path.display())])?;
    assert_eq!(from_file.stdout, format!("\"{large}\"\n"), "{}", from_file.stderr);
    let from_stdin = fed(&app, &["call", "myns:text", "-"], large.as_bytes())?;
    assert_eq!(from_stdin.stdout, from_file.stdout, "{}", from_stdin.stderr);
    let bytes = fed(&app, &["call", "myns:bytes", "-"], &[0xff, 0, b'['])?;
    assert_eq!(bytes.stdout, "[255,0,91]\n", "{}", bytes.stderr);
    let wave = fed(&app, &["call", "--wave", "myns:text", "-"], b"\"a\"")?;
    assert_eq!(wave.stdout, "\"a\"\n", "{}", wave.stderr);
    for (args, said) in [
        (
            ["-", "-"].as_slice(),
            "error: `-` is given 2 times, and standard input can be read once\n",
        ),
        (
            &["@nothing"],
            "error: argument 1: cannot read `nothing` (as a text it is `\"@nothing\"`): No such file or directory (os error 2)\n",
        ),
    ] {
        let run = app.run(&[&["call", "myns:text"], args].concat())?;
        assert_eq!((run.code, run.stderr.as_str()), (Some(2), said));
    }
    Ok(())
}

#[test]
fn empty_variable_is_unset_and_a_wrong_one_is_an_error() -> Tested {
    let names = ["CRISOL_APP", "CRISOL_CACHE", "CRISOL_INSTANCES", "CRISOL_MEMORY", "CRISOL_LOG"];
    let mut command = crisol_command(&tour(), &["--no-cache", "list"]);
    let run = Run::of(command.envs(names.map(|name| (name, ""))).output()?)?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for (name, value) in [
        ("CRISOL_INSTANCES", "many"),
        ("CRISOL_MEMORY", "1"),
        ("CRISOL_LOG", "a=b=c"),
        ("CRISOL_LOG", "warn,loud"),
    ] {
        let run = Run::of(crisol_command(&tour(), &["list"]).env(name, value).output()?)?;
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{name}");
        assert!(run.stderr.contains(value), "{run:?}");
    }
    Ok(())
}

#[test]
fn unknown_service_is_named() -> Tested {
    let run = crisol(&tour(), &["openapi", "nothing"])?;
    let said = "error: no endpoints on service `nothing`: use one of ";
    assert!(run.code == Some(2) && run.stderr.starts_with(said), "{run:?}");
    Ok(())
}

#[test]
fn colours_need_a_terminal_or_color_always() -> Tested {
    let app = App::new("  - {name: a, kind: nothing}\n", &[])?;
    let is_colored = |args: &[&str], variable: (&str, &str)| -> Tested<bool> {
        let mut command = crisol_command(app.path(), &[&["check"], args].concat());
        Ok(Run::of(command.env(variable.0, variable.1).output()?)?.stderr.contains('\u{1b}'))
    };
    assert!(!is_colored(&[], ("TERM", "xterm"))?);
    assert!(is_colored(&["--color", "always"], ("NO_COLOR", "1"))?);
    assert!(!is_colored(&["--color", "never"], ("TERM", "xterm"))?);
    Ok(())
}

/// On a terminal, the environment decides about colours.
#[cfg(unix)]
#[test]
fn a_terminal_has_colours_unless_the_environment_wants_none() -> Tested {
    let app = App::new("  - {name: a, kind: nothing}\n", &[])?;
    for (variable, is_colored) in [
        (("TERM", "xterm"), true),
        (("TERM", "dumb"), false),
        (("NO_COLOR", "1"), false),
        (("NO_COLOR", ""), true),
    ] {
        let mut command = crisol_command(app.path(), &["check"]);
        command.env("TERM", "xterm").env(variable.0, variable.1);
        let mut session = rexpect::session::spawn_command(command, Some(60_000))?;
        let said = session.exp_eof()?;
        assert!(said.contains("unknown-kind"), "{said}");
        assert_eq!(said.contains("\u{1b}[1m"), is_colored, "{variable:?}: {said:?}");
    }
    Ok(())
}

#[test]
fn error_for_an_entry_that_cannot_be_called_names_its_kind() -> Tested {
    for (id, said) in [
        ("compute", "unknown function `compute`: did you mean `myns:compute`?"),
        (
            "myns:assets",
            "`myns:assets` is of kind `fs.directory`, and cannot be called: `crisol list` shows the functions",
        ),
        (
            "assets",
            "`myns:assets` is of kind `fs.directory`, and cannot be called: `crisol list` shows the functions",
        ),
        ("myns.compute", "unknown function `myns.compute`: did you mean `myns:compute`?"),
        (
            "hello",
            "`myns.commands:hello` is a command, not a function: run it with `crisol run hello`",
        ),
        (
            "myns.commands:hello",
            "`myns.commands:hello` is a command, not a function: run it with `crisol run hello`",
        ),
    ] {
        let run = crisol(&tour(), &["call", id])?;
        assert_eq!((run.code, run.stderr), (Some(2), format!("error: {said}\n")));
    }
    let function =
        "`myns:compute` is a function, not a command: call it with `crisol call myns:compute`";
    for (name, said) in [
        ("myns:compute", function),
        ("myns.compute", function),
        (
            "assets",
            "`myns:assets` is of kind `fs.directory`, not a command: `crisol run --list` lists the commands",
        ),
        ("myns.commands.hello", "unknown command `myns.commands.hello`: did you mean `hello`?"),
    ] {
        let run = crisol(&tour(), &["run", name])?;
        assert_eq!((run.code, run.stderr), (Some(125), format!("error: {said}\n")));
    }
    Ok(())
}

#[test]
fn everything_is_counted_and_listed() -> Tested {
    let hash = crisol_fixtures::sha256("proxy");
    let entries = format!(
        "  - {{name: web, kind: function.wasm, fs: assets, path: proxy.wasm, hash: 'sha256:{hash}', method: 'wasi:http/incoming-handler', transport: wasi-http}}\n\
         \x20 - {{name: lua, kind: function.lua, source: 'return {{f = function() end}}', method: f}}\n\
         \x20 - {{name: hi, kind: process.wasm, fs: assets, path: cli-hello.wasm, hash: 'sha256:{}', method: run}}\n",
        crisol_fixtures::sha256("cli-hello")
    );
    let app = App::new(&entries, &["proxy", "cli-hello"])?;
    assert_eq!(app.run(&["check"])?.stdout, "ok: 1 function, 1 HTTP handler and 1 command\n");
    let listed = "myns:hi   command myns:hi\nmyns:lua  function.lua\nmyns:web  HTTP handler\n";
    assert_eq!(app.run(&["list"])?.stdout, listed);
    let compiled = app.run(&["compile"])?.stdout;
    assert!(
        compiled.starts_with("ok: the code of 1 function, 1 HTTP handler and 1 command is in ")
    );
    let run = app.run(&["call", "myns:web"])?;
    let said = "error: `myns:web` answers HTTP requests itself, and cannot be called: serve it with `crisol serve`\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), said));
    Ok(())
}

/// Errors of the arguments themselves are printed by another library.
#[test]
fn errors_of_the_command_line_have_colours_as_others_have() -> Tested {
    let app = App::new("", &[])?;
    let said = |before: &[&str], variable: (&str, &str)| -> Tested<String> {
        let mut command = crisol_command(app.path(), before);
        command.args(["list", "--nonsense"]).env(variable.0, variable.1);
        // The variable forces colours in a pipe, too.
        Ok(Run::of(command.env("CLICOLOR_FORCE", "1").output()?)?.stderr)
    };
    for (before, is_colored) in [
        (&["--color", "always"][..], true),
        (&["--color=always"], true),
        (&["--color", "never"], false),
        (&["--color=never"], false),
        (&["--color", "always", "--color", "never"], false),
        (&["--color", "sometimes"], false),
        (&[], false),
    ] {
        let text = said(before, ("TERM", "xterm"))?;
        assert!(text.contains("error"), "{text}");
        assert_eq!(text.contains('\u{1b}'), is_colored, "{before:?}: {text:?}");
    }
    for (variable, is_colored) in
        [(("TERM", "xterm"), true), (("TERM", "dumb"), false), (("NO_COLOR", "1"), false)]
    {
        for argument in ["--nonsense", "--help"] {
            let mut command = crisol_command(app.path(), &[argument]);
            command.env("TERM", "xterm").env(variable.0, variable.1);
            let mut session = rexpect::session::spawn_command(command, Some(60_000))?;
            let said = session.exp_eof()?;
            assert!(said.contains("Usage"), "{said}");
            assert_eq!(said.contains('\u{1b}'), is_colored, "{variable:?}: {said:?}");
        }
    }
    Ok(())
}
