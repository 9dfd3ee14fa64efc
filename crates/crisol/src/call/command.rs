//! Commands (`process.wasm`): each run is one instance from start to end, on its own streams.
//!
//! A command keeps no instances: each run creates one and drops it. Its only time limit is the entry's
//! `limits.max_execution_ms`, without a default, since users may run commands for any length of time.

use std::fmt;
use std::sync::{Arc, Weak};

use crisol_core::{
    Args, CallContext, CallError, Caller, EntryId, ErrorDetails, Invoke, Signature, Type,
};
use crisol_engine::{Failure, FunctionPre};
use crisol_wasi::{Stdio, Streams};
use crisol_wit::{Lifted, Outcome, Packed};

use super::deadline::now;
use super::guest::{Guest, GuestFailure, Runs};
use super::linkage::Linkage;
use super::pipeline::{CallScope, Job, Pooled};
use super::pools::AnyPool;

/// A loaded `process.wasm` entry; see [`Command::run`].
///
/// ```no_run
/// use crisol::{Args, Exit, Stdio};
///
/// # async fn example(runtime: crisol::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// let command = runtime.command("resize")?;
/// let arguments = ["--width".to_owned(), "640".to_owned()];
/// match command.run(&arguments, Args::none(), Stdio::Terminal).await? {
///     Exit::Code(code) => println!("exit code {code}"),
///     Exit::Value(value) => println!("{}", value.to_wave()),
///     _ => {}
/// }
/// # Ok(())
/// # }
/// ```
pub struct Command {
    pub(crate) name: Option<String>,
    pub(crate) linked: FunctionPre,
    pub(crate) runs: Pooled<Runs>,
    /// Generation of the command, in which its nested calls run.
    pub(crate) generation: Weak<dyn Invoke>,
}

/// Result of a command that ran to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Exit {
    /// An exit code: the guest's own, or 0 for the `ok` and 1 for the `err` side of its `result`.
    Code(i32),
    /// The value that the method returned.
    Value(Lifted),
}

impl Command {
    /// Returns the id of its entry.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.runs.id
    }

    /// Returns the entry's `meta.command.name`, if set.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the signature of the method: no parameters and a `result` for `wasi:cli/run`.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        self.linked.mapping().signature()
    }

    /// Tells whether the method has parameters, to which [`Command::run`] passes its `values`. The guest sees its
    /// `arguments` on its command line in any case.
    #[must_use]
    pub fn takes_values(&self) -> bool {
        !self.signature().params.is_empty()
    }

    /// Runs the command to its end. The guest's command line is the command's name, the entry's `wasi.args`, then
    /// `arguments`; the method receives `values` as its parameters. A stream whose interface (`wasi:cli/stdin` …) the
    /// entry does not grant behaves like [`Stdio::Log`].
    ///
    /// Dropping the future stops the guest, and so does a drain after its grace period.
    ///
    /// # Errors
    /// See [`CallError`]: for example a trap, a denied import or an exceeded limit. An `err` side that carries a value
    /// is [`ErrorKind::Function`](crate::ErrorKind::Function).
    pub async fn run(
        &self,
        arguments: &[String],
        values: Args<'_>,
        stdio: Stdio,
    ) -> Result<Exit, CallError> {
        let args = self.linked.mapping().lower_args(values);
        let args = args.map_err(|error| CallError::invalid_input(self.id(), error))?;
        let running = Running { command: self, arguments, stdio, args };
        let context = CallContext::new(Caller::Command);
        let deadline = self.runs.deadline(&context);
        match self.runs.serve(&context, deadline, running).await {
            Ok(result) => self.exit(self.linked.mapping().lift(result)),
            Err(error) => match *error.details() {
                ErrorDetails::Exited { code } => Ok(Exit::Code(code)),
                _ => Err(error),
            },
        }
    }

    /// Chooses the destination of each stream. One that the entry does not grant goes to the log, like a function's.
    fn streams(&self, stdio: Stdio) -> Streams {
        let of = |interface: &str| {
            let mut imports = self.linked.imports().iter();
            let is_granted = imports
                .any(|import| import.granted && import.interface.as_deref() == Some(interface));
            if is_granted { stdio } else { Stdio::Log }
        };
        Streams {
            stdin: of("wasi:cli/stdin"),
            stdout: of("wasi:cli/stdout"),
            stderr: of("wasi:cli/stderr"),
        }
    }

    fn guest(&self) -> &Guest {
        &self.runs.workers().0
    }

    /// Returns the guest's imports and which of them its method may call.
    pub(crate) fn linkage(&self) -> Linkage<'_> {
        self.guest().linkage().of_command()
    }

    /// Returns the pool that counts and interrupts its runs.
    pub(crate) fn pool(&self) -> &dyn AnyPool {
        &*self.runs.pool
    }

    /// Returns the program name on the guest's command line.
    fn called(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id().name())
    }

    fn exit(&self, outcome: Outcome) -> Result<Exit, CallError> {
        let (gives, fails) = match &self.signature().result {
            Some(Type::Result { ok, err }) => (ok.is_some(), err.is_some()),
            other => (other.is_some(), false),
        };
        match outcome {
            Outcome::Value(value) if gives => Ok(Exit::Value(value)),
            Outcome::Value(_) => Ok(Exit::Code(0)),
            Outcome::Error(error) if fails => Err(CallError::function(self.id(), error.to_value())),
            Outcome::Error(_) => Ok(Exit::Code(1)),
        }
    }
}

/// One run of a command.
struct Running<'a> {
    command: &'a Command,
    arguments: &'a [String],
    stdio: Stdio,
    args: Packed,
}

impl Job<Runs> for Running<'_> {
    type Output = Option<Packed>;
    type Failure = GuestFailure;

    async fn run(self, (): &mut (), scope: CallScope<'_>) -> Result<Option<Packed>, GuestFailure> {
        let Self { command, arguments, stdio, args } = self;
        let (guest, deadline) = (command.guest(), scope.deadline.at);
        let environment = guest.plan.environment()?;
        let streams = command.streams(stdio);
        let wasi = guest.plan.build_command(&environment, streams, command.called(), arguments)?;
        let began = now();
        let mut instance = guest.instantiate(wasi, deadline).await?;
        let made = now();
        // A running command keeps its generation alive.
        guest.lend(&mut instance, &command.generation, &scope);
        let result = instance.call_since(made, args, deadline).await;
        Ok(result.map_err(|failure| match failure {
            Failure::Deadline { running, waiting } => {
                let making = made.saturating_duration_since(began);
                Failure::Deadline { running: making + running, waiting }
            }
            other => other,
        })?)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("id", self.id())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
