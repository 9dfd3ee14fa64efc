//! The program's stdout and stderr. While it serves, nothing waits for whoever reads them.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{ErrorKind, IsTerminal as _, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, panic, thread};

use clap::ColorChoice;

use crate::FAILED;
use crate::queue::Queue;

static STDERR: LazyLock<Queue> = LazyLock::new(|| Queue::start("stderr", io::stderr(), true));
/// Lines to stdout of a program that serves: scripts read them, so nothing else stands there.
static STDOUT: LazyLock<Queue> = LazyLock::new(|| Queue::start("stdout", io::stdout(), false));

/// Whether the program serves.
static SERVES: AtomicBool = AtomicBool::new(false);

/// Whether what goes to stderr has colours.
static COLORED: AtomicBool = AtomicBool::new(false);

/// Decides about the colours of stderr: left to itself, a terminal has them unless the environment says that it wants none.
pub(crate) fn choose_color(choice: ColorChoice) {
    let is_wanted = || {
        let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        io::stderr().is_terminal() && !is_off && !is_dumb
    };
    let colored = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_wanted(),
    };
    COLORED.store(colored, Ordering::Relaxed);
}

pub(crate) fn is_colored() -> bool {
    COLORED.load(Ordering::Relaxed)
}

/// Turns to serving: lines that stdout and stderr do not take in time are lost.
#[cfg(feature = "http")]
pub(crate) fn serve() {
    STDERR.set_waits(false);
    STDOUT.set_waits(false);
    SERVES.store(true, Ordering::Relaxed);
}

/// Turns to ending: the last lines are waited for, as long as they are taken.
pub(crate) fn end() {
    STDERR.set_waits(true);
}

/// Waits until all lines are written, or are not taken.
pub(crate) fn flush() {
    STDERR.flush();
    if SERVES.load(Ordering::Relaxed) {
        STDOUT.flush();
    }
}

/// Prints a line to stderr, after what was logged before. A stderr that is closed or full leaves nobody to tell.
pub(crate) fn print_error(line: &str) {
    STDERR.push(format!("{line}\n").into_bytes());
}

/// Prints a report to stderr and waits until it is read: for commands that do nothing else.
pub(crate) fn print_report(report: &str) {
    STDERR.drain();
    print_error(report);
    STDERR.drain();
}

/// Prints a line to stdout. A reader that has seen enough and gone is no error.
pub(crate) fn print_line(line: &str) -> anyhow::Result<()> {
    print_bytes(line.as_bytes())
}

/// Prints a line that may be no text to stdout.
pub(crate) fn print_bytes(line: &[u8]) -> anyhow::Result<()> {
    let line = [line, b"\n"].concat();
    if SERVES.load(Ordering::Relaxed) {
        STDOUT.push(line);
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&line).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("cannot write to the standard output"))
        }
        _ => Ok(()),
    }
}

/// Prints help, the version or what is wrong with the arguments, and gives the exit code: 2 also for help that could not
/// be written.
pub(crate) fn print_instead(instead: &clap::Error) -> u8 {
    match instead.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => FAILED,
        _ => u8::try_from(instead.exit_code()).unwrap_or(FAILED),
    }
}

/// Takes lines of the log for stderr.
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports panics as the standard hook does, and waits for stderr only where the program ends with it.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let mut report = format!("thread '{name}' {panic}\n");
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            report.push_str(&format!("stack backtrace:\n{trace}"));
        }
        STDERR.push(report.into_bytes());
        if name == "main" {
            STDERR.flush();
        }
    }));
}
