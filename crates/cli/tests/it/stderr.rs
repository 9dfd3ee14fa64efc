//! Requests are answered and signals end the program in any state of stderr and stdout.
#![cfg(all(feature = "http", target_os = "linux"))]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::support::served::{address, read, serve, signal};
use crate::support::{App, Run, Tested, crisol_command};
use rustix::fs::{OFlags, fcntl_setfl};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];
/// Longer than the busiest machine takes to end a program.
const PATIENCE: Duration = Duration::from_secs(120);

/// `GET /ok` answers, `GET /trap` traps.
fn app() -> Tested<App> {
    let function = |name: &str, body: &str| {
        format!(
            "  - {{name: {name}, kind: function.wat, source: '(module (func (export \"f\") (result i32) {body}))', wit: 'f: func() -> s32;', method: f, transport: wasi-http}}
  - {{name: at_{name}, kind: http.endpoint, func: {name}, method: GET, path: /{name}}}
"
        )
    };
    App::new(&[function("ok", "i32.const 42"), function("trap", "unreachable")].concat(), &[])
}

/// Full pipe without a reader.
fn stuck() -> Tested<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = pipe()?;
    fcntl_setfl(&writer, OFlags::NONBLOCK)?;
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&writer, OFlags::empty())?;
    Ok((reader, writer))
}

/// Program that serves; killed when dropped.
struct Server {
    child: Option<Child>,
    addr: String,
    /// Rest of the stream that had its address.
    rest: Box<dyn BufRead>,
}

impl Server {
    /// Starts a program whose stdout prints its address.
    fn start(app: &App, stderr: impl Into<Stdio>) -> Tested<Self> {
        Self::start_with(app, stderr, "debug")
    }

    fn start_with(app: &App, stderr: impl Into<Stdio>, log: &str) -> Tested<Self> {
        let mut command = serve(app.path(), &ANY_PORT);
        let child = command.env("CRISOL_LOG", log).stdout(Stdio::piped()).stderr(stderr);
        let mut child = child.spawn()?;
        let mut rest = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut line = String::new();
        rest.read_line(&mut line)?;
        let (child, rest) = (Some(child), Box::new(rest));
        Ok(Self { child, addr: address(line.trim_end())?, rest })
    }

    fn send(&self, path: &str) -> Tested<TcpStream> {
        let mut stream = TcpStream::connect(&self.addr)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        Ok(stream)
    }

    /// Checks that it answers normally.
    fn is_well(&self, requests: usize) -> Tested {
        for _ in 0..requests {
            let answer = read(self.send("/trap")?)?;
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        }
        let answer = read(self.send("/ok")?)?;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("42"), "{answer}");
        Ok(())
    }

    /// Waits for the end; no test sends a signal afterwards.
    fn ended(&mut self) -> Tested<Option<i32>> {
        let (sender, ended) = sync_channel(1);
        let mut child = self.child.take().ok_or("it has ended")?;
        let id = child.id();
        std::thread::spawn(move || sender.send(child.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            Command::new("kill").arg("-KILL").arg(id.to_string()).status()?;
            return Err("it does not end".into());
        };
        Ok(status?.code())
    }

    fn signal(&self, name: &str) -> Tested {
        signal(self.child.as_ref().ok_or("it has ended")?, name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_full_disk_under_stderr_costs_no_request() -> Tested {
    let full = OpenOptions::new().write(true).open("/dev/full")?;
    let mut server = Server::start(&app()?, full)?;
    server.is_well(30)?;
    server.signal("-TERM")?;
    assert_eq!(server.ended()?, Some(0));
    Ok(())
}

#[test]
fn a_reader_of_stderr_that_is_gone_costs_no_request() -> Tested {
    let (reader, writer) = pipe()?;
    drop(reader);
    let mut server = Server::start(&app()?, writer)?;
    server.is_well(30)?;
    server.signal("-TERM")?;
    assert_eq!(server.ended()?, Some(0));
    Ok(())
}

#[test]
fn unread_stderr_costs_no_request_and_one_signal_ends() -> Tested {
    let (_reader, writer) = stuck()?;
    let mut server = Server::start(&app()?, writer)?;
    server.is_well(300)?;
    server.signal("-HUP")?;
    server.is_well(1)?;
    server.signal("-TERM")?;
    assert_eq!(server.ended()?, Some(0));
    Ok(())
}

/// Two consecutive signals, of which the program may have noticed the first.
#[test]
fn a_second_signal_ends_at_once_while_stderr_is_stuck() -> Tested {
    let (_reader, writer) = stuck()?;
    let mut server = Server::start(&app()?, writer)?;
    server.signal("-TERM")?;
    // The first signal was handled once connections are refused; stderr is waited for then.
    while TcpStream::connect(&server.addr).is_ok() {
        std::thread::yield_now();
    }
    server.signal("-INT")?;
    let code = server.ended()?;
    // The first signal may just have ended it.
    assert!(matches!(code, Some(130 | 0)), "{code:?}");
    Ok(())
}

#[test]
fn unread_stdout_blocks_nothing() -> Tested {
    let (_reader, writer) = stuck()?;
    let app = app()?;
    let mut child = serve(app.path(), &ANY_PORT)
        .env("CRISOL_LOG", "info")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut rest = BufReader::new(child.stderr.take().ok_or("no stderr")?);
    let listening = line_with(&mut rest, "listening")?;
    let (_, addr) = listening.trim_end().rsplit_once("addr=").ok_or("no address")?;
    let addr = addr.split_whitespace().next().unwrap_or_default().to_owned();
    let mut server = Server { child: Some(child), addr, rest: Box::new(rest) };
    server.is_well(1)?;
    server.signal("-HUP")?;
    line_with(&mut server.rest, "reloaded: generation 2")?;
    server.signal("-TERM")?;
    assert_eq!(server.ended()?, Some(0));
    Ok(())
}

fn line_with(lines: &mut impl BufRead, part: &str) -> Tested<String> {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert!(lines.read_line(&mut line)? > 0, "no line with `{part}`");
    }
    Ok(line)
}

/// App that loads slowly, in proportion to the `steps` of its function. A broken one has an error that appears after
/// compilation.
fn slow(steps: usize, broken: bool) -> Tested<App> {
    let body = "local.get 0 i32.const 3 i32.mul i32.const 5 i32.xor local.set 0 ".repeat(steps);
    let other = "  - {name: g, kind: function.wasm, fs: assets, path: /none.wasm, method: f}\n";
    App::new(
        &format!(
            "  - name: f\n    kind: function.wat\n    source: '(module (func (export \"f\") (param i32) (result i32) {body} local.get 0))'\n    wit: 'f: func(a: s32) -> s32;'\n    method: f\n    transport: wasi-http\n  - {{name: e, kind: http.endpoint, func: f, method: GET, path: /}}\n{}",
            if broken {
                other.replace("method: f", &format!("method: f, hash: 'sha256:{}'", "0".repeat(64)))
            } else {
                String::new()
            }
        ),
        &[],
    )
}

/// Returns true if a process catches a signal, as the system reports; `None` when it has ended.
fn catches(child: &Child, number: u32) -> Option<bool> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    let ended = status.lines().any(|line| line.starts_with("State:\tZ"));
    (!ended).then_some(mask >> (number - 1) & 1 == 1)
}

/// Sends a signal to a program that is loading a slow app which does not load. If it ended before it caught the
/// signal, a larger app is tried.
fn while_loading(number: u32, name: &str) -> Tested<Run> {
    for steps in (0..7).map(|doubled| 1000 << doubled) {
        let app = slow(steps, true)?;
        let mut child =
            serve(app.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let caught = loop {
            match catches(&child, number) {
                Some(false) => std::thread::yield_now(),
                Some(true) => break true,
                None => break false,
            }
        };
        if caught {
            signal(&child, name)?;
            return Run::of(child.wait_with_output()?);
        }
        child.wait()?;
    }
    Err("it was never seen to catch the signal while it loaded".into())
}

#[test]
fn hangup_while_the_app_loads_does_not_end_the_program() -> Tested {
    let run = while_loading(1, "-HUP")?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("cannot read `none.wasm`"), "{run:?}");
    Ok(())
}

#[test]
fn a_signal_while_the_app_loads_ends_the_program() -> Tested {
    for (number, name, code) in [(15, "-TERM", 143), (2, "-INT", 130)] {
        let run = while_loading(number, name)?;
        // It may just have ended by itself.
        let was_late = run.code == Some(2) && run.stderr.contains("cannot read `none.wasm`");
        assert!(run.code == Some(code) || was_late, "{run:?}");
    }
    Ok(())
}

#[test]
fn a_hangup_while_the_app_loads_is_remembered() -> Tested {
    let app = slow(4000, false)?;
    let mut command = serve(app.path(), &ANY_PORT);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut rest = BufReader::new(child.stderr.take().ok_or("no stderr")?);
    while catches(&child, 1) == Some(false) {
        std::thread::yield_now();
    }
    signal(&child, "-HUP")?;
    let line = line_with(&mut rest, "reloaded")?;
    assert_eq!(line, "reloaded: generation 2: nothing has changed\n");
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Calls a function that fails, with this stderr.
fn failing_call(stderr: impl Into<Stdio>) -> Tested<Option<i32>> {
    let app = app()?;
    let mut command = crisol_command(app.path(), &["call", "myns:trap"]);
    Ok(command.stdout(Stdio::null()).stderr(stderr).status()?.code())
}

#[test]
fn exit_code_of_a_command_is_independent_of_stderr() -> Tested {
    let full = OpenOptions::new().write(true).open("/dev/full")?;
    assert_eq!(failing_call(full)?, Some(2));
    let (reader, writer) = pipe()?;
    drop(reader);
    assert_eq!(failing_call(writer)?, Some(2));
    let (_reader, writer) = stuck()?;
    assert_eq!(failing_call(writer)?, Some(2));
    Ok(())
}

#[test]
fn a_report_waits_for_a_slow_reader() -> Tested {
    // More than a pipe and the queue before it hold.
    let entries: String = (0..900)
        .map(|number| {
            format!(
                "  - {{name: e{number}, kind: fs.directory, direktory{number}: {}}}\n",
                "x".repeat(1500)
            )
        })
        .collect();
    let app = App::new(&entries, &[])?;
    let file = app.path().join("report");
    let to_file = crisol_command(app.path(), &["check"]).stderr(File::create(&file)?).status()?;
    let (mut reader, writer) = pipe()?;
    let mut child = crisol_command(app.path(), &["check"]).stderr(writer).spawn()?;
    let mut report = String::new();
    reader.read_to_string(&mut report)?;
    assert_eq!((to_file.code(), child.wait()?.code()), (Some(2), Some(2)));
    assert_eq!(report, std::fs::read_to_string(file)?);
    assert!(report.ends_with("errors\n") || report.contains("errors and"), "{}", report.len());
    Ok(())
}

#[test]
fn command_log_and_error_are_complete_and_in_order() -> Tested {
    let script = "for line = 1, 200 do require('log').info('line ' .. line) end error('over')";
    let function = format!(
        "  - {{name: f, kind: function.lua, source: \"return function() {script} end\", method: f, modules: [log]}}\n"
    );
    let run = App::new(&function, &[])?.call(&[])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    let (log, error) = run.stderr.split_once("error: ").ok_or("no error")?;
    let number = |line: &str| line.rsplit_once("line ")?.1.split(' ').next()?.parse().ok();
    let lines: Vec<usize> = log.lines().filter_map(number).collect();
    assert_eq!(lines, (1..=200).collect::<Vec<_>>());
    assert!(error.contains("over"), "{run:?}");
    Ok(())
}

#[test]
fn lua_log_is_escaped_and_rate_limited() -> Tested {
    let script = "print('a\\r\\27[2Jb\\n2026 ERROR forged') require('log').warn(('€'):rep(5000))
        for _ = 1, 3000 do print('flood') end error('boom\\n2026 ERROR forged')";
    let function = format!(
        "  - name: f\n    kind: function.lua\n    method: f\n    modules: [log]\n    source: |\n      return function() {} end\n",
        script.replace('\n', " ")
    );
    let run = App::new(&function, &[])?.call(&[])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    let log = &run.stderr;
    assert!(!log.contains(['\r', '\u{1b}']), "{log}");
    let at_line = |text: &str| log.lines().filter(|line| line.starts_with(text)).count();
    assert_eq!((at_line("2026 ERROR forged"), at_line("error: ")), (0, 1), "{log}");
    assert!(
        log.contains(r"a\u{d}\u{1b}[2Jb") && log.contains(r"boom\u{a}2026 ERROR forged"),
        "{log}"
    );
    let longest = log.lines().map(str::len).max();
    assert!(longest.is_some_and(|longest| longest < 9000), "{longest:?}");
    // A busy machine may take more than a second or two for them.
    assert!(log.matches("flood").count() < 3000, "all of it is in the log");
    assert!(
        log.contains("the guest exceeded the limit of log lines per second"),
        "the log says so"
    );
    let guest =
        log.lines().filter(|line| line.contains("crisol::guest") && line.contains("stream="));
    assert!(
        guest.clone().count() > 3 && guest.clone().all(|line| line.contains(" call=")),
        "{log}"
    );
    Ok(())
}

#[test]
fn unwritable_output_is_a_failure() -> Tested {
    let app = app()?;
    let script = app.path().join("script.lua");
    std::fs::write(&script, "print('lost') return 1")?;
    let script = script.display().to_string();
    for arguments in [
        &["lua", &script] as &[&str],
        &["call", "myns:ok"],
        &["check"],
        &["list"],
        &["schema"],
        &["openapi"],
        &["--help"],
        &["--version"],
    ] {
        let run = |stdout: Stdio| -> Tested<Run> {
            let mut command = crisol_command(app.path(), arguments);
            Run::of(command.stdout(stdout).stderr(Stdio::piped()).spawn()?.wait_with_output()?)
        };
        assert_eq!(run(Stdio::null())?.code, Some(0), "{arguments:?}");
        let full = run(OpenOptions::new().write(true).open("/dev/full")?.into())?;
        let told = full.stderr.contains("cannot write") || arguments[0].starts_with('-');
        assert!(full.code == Some(2) && told, "{arguments:?}: {full:?}");
    }
    Ok(())
}

#[test]
fn failures_are_logged_with_a_rate() -> Tested {
    let (mut reader, writer) = pipe()?;
    let mut server = Server::start_with(&app()?, writer, "warn")?;
    server.is_well(200)?;
    server.signal("-TERM")?;
    assert_eq!(server.ended()?, Some(0));
    let mut log = String::new();
    reader.read_to_string(&mut log)?;
    let full = log.matches("the call failed").count();
    let more =
        log.lines().filter_map(|line| line.rsplit_once("more=")?.1.trim().parse::<usize>().ok());
    assert_eq!(full + more.sum::<usize>(), 200, "{log}");
    Ok(())
}
