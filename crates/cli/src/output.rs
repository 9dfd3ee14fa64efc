//! Stdout and stderr of the program. While it serves, a slow reader of them delays nothing.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, panic, thread};

use clap::ColorChoice;
use clap::builder::StyledStr;

use crate::FAILED;
use crate::queue::Queue;

static STDERR: LazyLock<Queue> = LazyLock::new(|| Queue::start("stderr", io::stderr(), true));
/// Queue of stdout while serving: scripts read its lines, so nothing else is written there.
static STDOUT: LazyLock<Queue> = LazyLock::new(|| Queue::start("stdout", io::stdout(), false));

/// True while the program serves.
static SERVES: AtomicBool = AtomicBool::new(false);

/// True if stderr has colours.
static COLORED: AtomicBool = AtomicBool::new(false);

/// Sets the colours of stderr.
pub(crate) fn choose_color(choice: ColorChoice) {
    COLORED.store(has_color(choice, &io::stderr()), Ordering::Relaxed);
}

/// Returns true if a stream has colours: with `auto`, a terminal has them unless the environment disables them.
fn has_color(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    let is_wanted = || {
        let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        stream.is_terminal() && !is_off && !is_dumb
    };
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_wanted(),
    }
}

pub(crate) fn is_colored() -> bool {
    COLORED.load(Ordering::Relaxed)
}

/// Switches to serving: lines that stdout and stderr do not take in time are lost.
#[cfg(feature = "http")]
pub(crate) fn serve() {
    STDERR.set_waits(false);
    STDOUT.set_waits(false);
    SERVES.store(true, Ordering::Relaxed);
}

/// Switches to ending: the last lines are waited for while the streams take them.
pub(crate) fn end() {
    STDERR.set_waits(true);
}

/// Waits until all lines are written, or a stream is stuck.
pub(crate) fn flush() {
    STDERR.flush();
    if SERVES.load(Ordering::Relaxed) {
        STDOUT.flush();
    }
}

/// Prints a line to stderr, after earlier log lines. A failure to write cannot be reported.
pub(crate) fn print_error(line: &str) {
    STDERR.push(format!("{line}\n").into_bytes());
}

/// Prints a report to stderr and waits until it is read, for commands without other work.
pub(crate) fn print_report(report: &str) {
    STDERR.drain();
    print_error(report);
    STDERR.drain();
}

/// Prints a line to stdout. A closed reader is not an error.
pub(crate) fn print_line(line: &str) -> anyhow::Result<()> {
    print_bytes(line.as_bytes())
}

/// Prints a line that may not be UTF-8 to stdout.
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

/// Prints help, the version or an error of the arguments, and returns the exit code: 2 also for help that could not be
/// written.
pub(crate) fn print_instead(instead: &clap::Error, choice: ColorChoice) -> u8 {
    let printed = match instead.use_stderr() {
        true => print_styled(&instead.render(), choice, io::stderr()),
        false => print_styled(&instead.render(), choice, io::stdout()),
    };
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => FAILED,
        _ => u8::try_from(instead.exit_code()).unwrap_or(FAILED),
    }
}

fn print_styled(
    text: &StyledStr,
    choice: ColorChoice,
    mut stream: impl Write + IsTerminal,
) -> io::Result<()> {
    let text = match has_color(choice, &stream) {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Writer of log lines to stderr.
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

/// Reports panics as the standard hook does, and waits for stderr only if the program ends with the panic.
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
