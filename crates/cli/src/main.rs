//! `crisol` program: arguments in, text and an exit code out. The façade does the work.

#![forbid(unsafe_code)]

mod app;
mod arguments;
mod call;
mod check;
mod compile;
mod list;
#[cfg(feature = "http")]
mod listening;
#[cfg(feature = "lua")]
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
mod values;
#[cfg(feature = "http")]
mod watch;

use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use arguments::{Arguments, Command};
use output::{LogWriter, print_error, print_line};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command succeeded.
const DONE: u8 = 0;
/// The called function returned its own error.
const FUNCTION_ERROR: u8 = 1;
/// Any other failure.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    // Before any slow step, because a supervisor may send a reload signal as soon as the process exists. A failure here
    // occurs again, and is reported, when signals are caught.
    #[cfg(feature = "http")]
    if std::env::args_os().any(|argument| argument == "serve") {
        let _ = signals::remember_hangups();
    }
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(instead) => {
            let color = arguments::color(std::env::args_os());
            return ExitCode::from(output::print_instead(&instead, color));
        }
    };
    output::choose_color(arguments.color);
    output::report_panics();
    let code = log_to_stderr().and_then(|()| run(&arguments));
    output::end();
    let code = code.unwrap_or_else(|error| {
        print_error(&format!("error: {error:#}"));
        FAILED
    });
    output::flush();
    ExitCode::from(code)
}

fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Call(call) => call::run(&arguments.app, call),
        Command::Check(check) => check::run(&arguments.app, check),
        Command::Compile => compile::run(&arguments.app),
        Command::List => list::run(&arguments.app),
        Command::Run(run) => Ok(run::run(&arguments.app, run)),
        #[cfg(feature = "lua")]
        Command::Lua(lua) => lua::run(&arguments.app, lua),
        Command::Pin(pin) => pin::run(&arguments.app, pin),
        Command::Schema => schema::run(),
        #[cfg(feature = "http")]
        Command::Openapi(openapi) => openapi::run(&arguments.app, openapi),
        #[cfg(feature = "http")]
        Command::Serve(serve) => serve::run(&arguments.app, serve),
    }
}

/// Target whose functions are spans, which would precede every line of a WASI preview 1 guest.
const SPANS: &str = "wasmtime_wasi::p1";

/// Sends the log to stderr: output of guests, and warnings. `CRISOL_LOG` takes `tracing` filters.
fn log_to_stderr() -> anyhow::Result<()> {
    let wanted = std::env::var_os("CRISOL_LOG").filter(|text| !text.is_empty());
    let filter = match &wanted {
        None => EnvFilter::new("warn,crisol::guest=info"),
        Some(text) => {
            let text = text.to_string_lossy();
            let quiet = if text.contains(SPANS) { String::new() } else { format!(",{SPANS}=warn") };
            let filter = EnvFilter::builder().parse(format!("{text}{quiet}")).ok();
            filter.filter(|_| !text.split(',').any(is_no_level)).with_context(|| {
                let help = "use one such as `info` or `warn,crisol=debug`";
                format!("`CRISOL_LOG` is `{text}`, which is not a log filter: {help}")
            })?
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output::is_colored())
        .with_writer(|| LogWriter)
        // Internal errors would bypass the queue.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// Returns true if a part of a filter is a word, but not a level. Alone it would select a target and silence all
/// others, and is more likely a misspelt level.
fn is_no_level(part: &str) -> bool {
    let part = part.trim();
    let is_word = !part.is_empty() && !part.contains(['=', '[', ':']);
    is_word && part.parse::<LevelFilter>().is_err() && !part.starts_with("crisol")
}
