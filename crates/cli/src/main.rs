//! The `crisol` program: arguments in, text and an exit code out. What it does is the façade's.

mod app;
mod arguments;
mod call;
mod check;
mod compile;
mod list;
mod lua;
#[cfg(feature = "http")]
mod openapi;
mod output;
mod pin;
mod queue;
#[cfg(feature = "http")]
mod reload;
mod run;
mod schema;
#[cfg(feature = "http")]
mod serve;
mod signals;
#[cfg(feature = "http")]
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use output::{LogWriter, print_error, print_line};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command did what it was asked to.
const DONE: u8 = 0;
/// The function that was called answered with its own error.
const FUNCTION_ERROR: u8 = 1;
/// Anything else went wrong.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    // Before anything that takes time: a supervisor may ask for a reload as soon as there is a process. What fails
    // here fails again, and is told, where signals are caught.
    #[cfg(feature = "http")]
    if std::env::args_os().any(|argument| argument == "serve") {
        let _ = signals::remember_hangups();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(instead) => return ExitCode::from(output::print_instead(&instead)),
    };
    output::report_panics();
    log_to_stderr();
    let code = match &arguments.command {
        Command::Call(call) => call::run(&arguments.app, call),
        Command::Check(check) => check::run(&arguments.app, check),
        Command::Compile => compile::run(&arguments.app),
        Command::List => list::run(&arguments.app),
        Command::Run(run) => Ok(run::run(&arguments.app, run)),
        Command::Lua(lua) => lua::run(&arguments.app, lua),
        Command::Pin(pin) => pin::run(&arguments.app, pin),
        Command::Schema => schema::run(),
        #[cfg(feature = "http")]
        Command::Openapi(openapi) => openapi::run(&arguments.app, openapi),
        #[cfg(feature = "http")]
        Command::Serve(serve) => serve::run(&arguments.app, serve),
    };
    output::end();
    let code = code.unwrap_or_else(|error| {
        print_error(&format!("error: {error:#}"));
        FAILED
    });
    output::flush();
    ExitCode::from(code)
}

/// Logs go to stderr: what guests print, and warnings. `CRISOL_LOG` takes `tracing` filters.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_env_var("CRISOL_LOG")
        .try_from_env()
        .unwrap_or_else(|_| "warn,crisol::guest=info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(|| LogWriter)
        // They would be printed past the queue.
        .log_internal_errors(false)
        .init();
}
