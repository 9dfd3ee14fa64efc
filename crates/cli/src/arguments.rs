//! The command line.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{
    Arg, Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    ValueEnum as _,
};
use crisol::engine::MaxMemory;
use crisol::registry::Namespace;

/// Run WebAssembly functions declared in a YAML registry.
#[derive(Debug, Parser)]
#[command(name = "crisol", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) app: AppArguments,
    /// Colours of stderr; `auto` follows the terminal, `NO_COLOR` and `TERM=dumb`.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Reads the command line and the environment; an empty variable counts as unset.
    ///
    /// # Errors
    /// Fails for wrong arguments, and for a request of help or the version.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let is_empty = |arg: &Arg| {
            let value = arg.get_env().and_then(std::env::var_os);
            value.is_some_and(|value| value.is_empty())
        };
        let unset = |arg: Arg| if is_empty(&arg) { arg.env(None::<&'static str>) } else { arg };
        let matches = Self::command().mut_args(unset).try_get_matches()?;
        Self::from_arg_matches(&matches)
    }
}

/// Colours that a command line requests, even if it is wrong elsewhere: the last option before `--` counts.
pub(crate) fn color(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let read = |text: &str| ColorChoice::from_str(text, true).ok();
    let mut found = None;
    let mut is_next = false;
    for argument in arguments.take_while(|argument| argument != "--") {
        let argument = argument.to_string_lossy();
        if std::mem::replace(&mut is_next, argument == "--color") {
            found = read(&argument).or(found);
        }
        if let Some(text) = argument.strip_prefix("--color=") {
            found = read(text).or(found);
        }
    }
    found.unwrap_or(ColorChoice::Auto)
}

/// Options of the app: its folder and its loading.
#[derive(Debug, Args)]
pub(crate) struct AppArguments {
    /// Folder of the app: every `_index.yaml` below it is read.
    #[arg(long, global = true, value_name = "DIR", env = "CRISOL_APP", default_value = ".")]
    pub(crate) app: PathBuf,
    /// Namespace of index files without one.
    #[arg(long, global = true, value_name = "NS")]
    pub(crate) namespace: Option<Namespace>,
    /// Override one field of one entry, such as `myns:compute:limits.max_execution_ms=500`.
    #[arg(long, global = true, value_name = "ID:PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Refuse functions with imports that their entries do not declare.
    #[arg(long, global = true)]
    pub(crate) strict_imports: bool,
    /// Folder of the cache for compiled code; by default `crisol/code` in the user's cache folder.
    #[arg(long, global = true, value_name = "DIR", env = "CRISOL_CACHE")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Compile everything, without reading or writing the cache.
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// Number of instances that may be alive at once, over all functions [default: 1000]. Each takes 4 GiB of address
    /// space, and no memory until it is used.
    #[arg(long, global = true, value_name = "N", env = "CRISOL_INSTANCES")]
    pub(crate) instances: Option<NonZeroU32>,
    /// Memory that all instances and scripts may hold together, such as `512MiB` or `2GiB`; `none` for no limit
    /// [default: three quarters of the machine's or control group's memory]. A call beyond it is refused.
    #[arg(long, global = true, value_name = "SIZE", env = "CRISOL_MEMORY", value_parser = memory)]
    pub(crate) memory: Option<MaxMemory>,
}

/// Least memory that an instance of one page reserves.
const LEAST_MEMORY: u64 = 128 << 10;

/// Reads `--memory`.
fn memory(text: &str) -> Result<MaxMemory, String> {
    if text == "none" {
        return Ok(MaxMemory::Unbounded);
    }
    let fix = "use a number with `KiB`, `MiB` or `GiB`, such as `512MiB`, or `none`";
    let size: ByteSize = text.parse().map_err(|_| format!("`{text}` is not a size: {fix}"))?;
    if size.as_u64() < LEAST_MEMORY {
        return Err(format!("`{text}` is less than any instance needs: use at least `128KiB`"));
    }
    Ok(MaxMemory::Bytes(size.as_u64()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Call a function and print its result as one line of JSON.
    ///
    /// Exit code 0; 1 when the function returned its own error, which is printed to stderr as JSON; 2 for any other
    /// failure.
    Call(CallArguments),
    /// Load, compile and link everything, and report all problems. Writes nothing in the app without `--fix`.
    Check(CheckArguments),
    /// Compile all code of the app into the cache, so that later runs start at once.
    Compile,
    /// List the functions with their signatures, the HTTP handlers and the commands.
    List,
    /// Run a command of the app, a `process.wasm`, on this terminal.
    ///
    /// Exit code: the guest's own; 125 when it did not run or was stopped, 130 for Ctrl-C.
    Run(RunArguments),
    /// Run a Lua script that calls functions of the app.
    ///
    /// Its arguments are strings in `...`. Exit code 0; 1 when the script returned `nil, err`, which is printed to
    /// stderr as JSON; 2 for any other failure.
    #[cfg(feature = "lua")]
    Lua(LuaArguments),
    /// Write the hashes of the binaries into the index files, keeping comments and layout.
    ///
    /// Errors elsewhere in the app do not matter. Exit code 0 when all selected entries are pinned; 2 when one is not,
    /// with the reasons on stderr.
    Pin(PinArguments),
    /// Print the JSON Schema of index files, for completion in editors.
    Schema,
    /// Print the endpoints as an OpenAPI 3.1 document, made from the functions' signatures.
    #[cfg(feature = "http")]
    Openapi(OpenapiArguments),
    /// Serve the app over HTTP until a stop signal.
    ///
    /// SIGTERM and SIGINT (Ctrl-C) let running requests finish within the grace period; a second one ends the program
    /// at once, and so does the first while the app loads. SIGHUP reads the app again, and serves it if it has no
    /// errors. `CRISOL_LOG=info` logs more.
    #[cfg(feature = "http")]
    Serve(ServeArguments),
}

#[cfg(feature = "http")]
#[derive(Debug, Args)]
pub(crate) struct OpenapiArguments {
    /// Service of the endpoints; optional when only one has endpoints.
    #[arg(value_name = "ID")]
    pub(crate) service: Option<String>,
}

#[cfg(feature = "http")]
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Address to listen on when no `http.service` has one [default: 127.0.0.1:8080], or instead of that of the only
    /// service: `host:port`, `:port` or `unix:/path`.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<crisol::http::ListenAddr>,
    /// Seconds that running requests have to finish after a stop signal.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) grace: u32,
    /// Seconds to go on accepting and serving after a stop signal, while load balancers learn of it: the service is not
    /// ready, and responses close their connections.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) drain_delay: u32,
    /// Read the app again whenever its files change.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    /// Id of the function, such as `myns:compute`.
    pub(crate) id: String,
    /// Read the arguments and print the result as WAVE, the text format of component values.
    #[arg(long)]
    pub(crate) wave: bool,
    /// Arguments of the function: each is JSON or plain text; for a `string`, all but a JSON string is plain text.
    /// `@FILE` reads a file, `-` standard input.
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// List the commands of the app.
    #[arg(long, conflicts_with = "name")]
    pub(crate) list: bool,
    /// Command, by its `meta.command.name` or its id.
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// The guest's command line; for a method with parameters also its arguments, each JSON or plain text as for
    /// `call`, without `@FILE` and `-`.
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[cfg(feature = "lua")]
#[derive(Debug, Args)]
pub(crate) struct LuaArguments {
    /// Path of the script; `-` is standard input.
    pub(crate) script: PathBuf,
    /// The script's arguments, in `...`.
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Write the smallest `imports` into the index files first: only those that the methods may call.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Format of the report.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    /// Entries to pin; by default all that have a hash.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<crisol::EntryId>,
}

/// Format of a report.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: places, snippets, help.
    #[default]
    Text,
    /// For tools: one JSON document.
    Json,
}
