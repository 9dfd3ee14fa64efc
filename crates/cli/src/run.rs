//! `crisol run`: a `process.wasm` on this terminal.

use anyhow::Context as _;
use crisol::error::CommandNotFound;
use crisol::{Args, Command, Exit, Runtime, Stdio};

use crate::arguments::{AppArguments, RunArguments};
use crate::call::{json_line, own_error};
use crate::signals::{Interrupt, SIGNALLED};
use crate::values::{Given, json_array};
use crate::{DONE, FUNCTION_ERROR, app, print_error, print_line};

/// Exit code when the guest did not end by itself: the app does not load, the command is unknown, or the guest was
/// stopped. Separate from the small codes that guests use (`env` and `timeout` use it too).
const NOT_THE_GUEST: u8 = 125;
/// Exit code that a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = SIGNALLED + 2;

pub(crate) fn run(app: &AppArguments, run: &RunArguments) -> u8 {
    let outcome = match &run.name {
        Some(name) => app::load(app).and_then(|runtime| start(&runtime, name, &run.args)),
        None => app::look(app).and_then(|runtime| list(&runtime)),
    };
    outcome.unwrap_or_else(|error| {
        print_error(&format!("error: {error:#}"));
        NOT_THE_GUEST
    })
}

fn list(runtime: &Runtime) -> anyhow::Result<u8> {
    let commands = runtime.commands();
    let name = |command: &Command| command.name().unwrap_or(command.id().as_str()).to_owned();
    let width = commands.iter().map(|command| name(command).chars().count()).max().unwrap_or(0);
    for command in &commands {
        print_line(&format!("{:width$}  {}", name(command), command.id()))?;
    }
    Ok(DONE)
}

fn start(runtime: &Runtime, name: &str, args: &[String]) -> anyhow::Result<u8> {
    let command = match runtime.command(name) {
        Ok(command) => command,
        Err(error) => return Err(not_run(runtime, name, error)),
    };
    let values = if command.takes_values() {
        // `-` and `@file` are for the guest, on its command line.
        let json = json_array(&Given::typed(args), Some(command.signature()));
        Args::json(
            json.with_context(|| format!("`{}` cannot take these arguments", command.id()))?
                .into_bytes(),
        )
    } else {
        Args::none()
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let interrupt = Interrupt::catch()?;
    let ended = tokio.block_on(async {
        tokio::select! {
            // First, so that Ctrl-C is caught before the guest starts.
            biased;
            () = interrupt.received() => None,
            ended = command.run(args, values, Stdio::Terminal) => Some(ended),
        }
    });
    interrupt.end();
    // The guest may have left a thread in a read of the terminal, which must not delay the exit.
    tokio.shutdown_background();
    match ended {
        None => Ok(INTERRUPTED),
        Some(Ok(Exit::Value(value))) => {
            print_line(&json_line(command.id(), &value.into())?)?;
            Ok(DONE)
        }
        Some(Ok(Exit::Code(code))) => Ok(exit_code(code)),
        Some(Err(error)) => own_error(error),
        Some(Ok(other)) => anyhow::bail!("the command ended as {other:?}"),
    }
}

/// Error for a name that is not a command, with advice for its kind.
fn not_run(runtime: &Runtime, name: &str, error: CommandNotFound) -> anyhow::Error {
    let generation = runtime.generation();
    let Some(entry) = generation.resolve(name) else { return error.into() };
    let id = &entry.id;
    if generation.command(id.as_str()).is_ok() {
        return error.into();
    }
    if generation.function(id.as_str()).is_ok() {
        return anyhow::anyhow!(
            "`{id}` is a function, not a command: call it with `crisol call {id}`"
        );
    }
    let kind = entry.kind.name();
    anyhow::anyhow!(
        "`{id}` is of kind `{kind}`, not a command: `crisol run --list` lists the commands"
    )
}

/// Exit code of the process, which has 8 bits. A code that would become 0 by losing its upper bits stays a failure.
fn exit_code(code: i32) -> u8 {
    match code.to_le_bytes() {
        [0, ..] if code != 0 => FUNCTION_ERROR,
        [low, ..] => low,
    }
}

#[cfg(test)]
mod tests {
    use super::exit_code;

    #[test]
    fn no_failure_becomes_a_success() {
        let codes = [0, 1, 2, 255, 256, 257, -1, i32::MIN];
        assert_eq!(codes.map(exit_code), [0, 1, 2, 255, 1, 1, 255, 1]);
    }
}
