//! Output of a guest in the log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crisol_wasi::{Environment, Plan, Stdio};
use expect_test::expect;
use tracing_subscriber::fmt::MakeWriter;
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi::p2::bindings::cli::{stderr, stdout};

use crate::support::{Guest, app_with};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Returns the lines, without the spaces that align the levels.
    fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| format!("{}\n", line.trim_start())).collect()
    }
}

/// Returns the log of a run.
fn logged(filter: &str, run: impl FnOnce(&Plan, &Log)) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .without_time()
        .with_ansi(false)
        .with_env_filter(filter)
        .finish();
    let plan = app_with("{}", "").plan();
    tracing::subscriber::with_default(subscriber, || run(&plan, &log));
    log.text()
}

fn out(guest: &mut Guest) -> wasmtime::component::Resource<DynOutputStream> {
    stdout::Host::get_stdout(&mut guest.cli()).unwrap()
}

fn err(guest: &mut Guest) -> wasmtime::component::Resource<DynOutputStream> {
    stderr::Host::get_stderr(&mut guest.cli()).unwrap()
}

fn write(
    guest: &mut Guest,
    stream: &wasmtime::component::Resource<DynOutputStream>,
    bytes: impl Into<Vec<u8>>,
) {
    let view = guest.cli();
    let stream = view.table.get_mut(stream).unwrap();
    let bytes = bytes.into();
    assert!(stream.check_write().unwrap() >= bytes.len());
    stream.write(Bytes::from(bytes)).unwrap();
    stream.flush().unwrap();
}

fn guest(plan: &Plan) -> Guest {
    Guest::with(plan, &Environment::default(), Stdio::Log)
}

#[test]
fn output_is_logged_by_line_with_its_function_and_stream() {
    let text = logged("info", |plan, log| {
        let mut guest = guest(plan);
        let (first, second, errors) = (out(&mut guest), out(&mut guest), err(&mut guest));
        write(&mut guest, &first, "hello ");
        assert_eq!(log.text(), "", "a flush ends no line");
        write(&mut guest, &second, "world\r\n\nthird");
        write(&mut guest, &errors, "oops: ñ\n");
        write(&mut guest, &first, " line\nnot ended");
    });
    expect![[r#"
         INFO crisol::guest: hello world function=a:f stream="stdout"
         INFO crisol::guest:  function=a:f stream="stdout"
         INFO crisol::guest: oops: ñ function=a:f stream="stderr"
         INFO crisol::guest: third line function=a:f stream="stdout"
         INFO crisol::guest: not ended function=a:f stream="stdout"
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_guest_cannot_forge_lines_of_the_log() {
    let text = logged("info", |plan, _| {
        let mut guest = guest(plan);
        let out = out(&mut guest);
        write(&mut guest, &out, "a\rERROR forged\u{1b}[2J\u{85}\u{2028}b\tc\0\n");
        write(&mut guest, &out, b"not \xff text\n".as_slice());
    });
    expect![[r#"
         INFO crisol::guest: a\u{d}ERROR forged\u{1b}[2J\u{85}\u{2028}b	c\u{0} function=a:f stream="stdout"
         INFO crisol::guest: not � text function=a:f stream="stdout"
    "#]].assert_eq(&text);
}

#[test]
fn a_line_without_end_is_logged_in_bounded_pieces() {
    let text = logged("info", |plan, _| {
        let mut guest = guest(plan);
        let out = out(&mut guest);
        write(&mut guest, &out, "€".repeat(10_000));
        write(&mut guest, &out, "\n");
        write(&mut guest, &out, [0xff; 9000]);
    });
    let pieces: Vec<usize> = text.lines().map(|line| line.matches('€').count()).collect();
    assert_eq!(pieces.iter().sum::<usize>(), 10_000, "nothing is lost");
    assert_eq!(pieces, [2730, 2730, 2730, 1810, 0, 0]);
    assert!(!text.lines().take(4).any(|line| line.contains('\u{fffd}')), "no character is cut");
}

#[test]
fn disabled_log_level_keeps_no_output() {
    assert_eq!(
        logged("info,crisol::guest=off", |plan, _| {
            let mut guest = guest(plan);
            let out = out(&mut guest);
            write(&mut guest, &out, "unseen\nunended");
        }),
        ""
    );
}
