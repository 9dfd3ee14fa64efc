//! A `process.wasm`: one run from start to end, on streams of its own.
//!
//! A command keeps no instances: each run makes one and drops it. It has no time limit but its own
//! `limits.max_execution_ms`, since people leave commands running for as long as they like.

use std::fmt;
use std::sync::{Arc, Weak};

use crisol_core::{Args, CallContext, CallError, Caller, EntryId, Invoke, Signature, Type};
use crisol_engine::{Failure, Linked};
use crisol_wasi::{Stdio, Streams};
use crisol_wit::{Lifted, Outcome, Packed};

use super::deadline::now;
use super::guest::{Guest, GuestFailure, Runs};
use super::linkage::Linkage;
use super::pipeline::{Job, Pooled, Turn};
use super::pools::AnyPool;

/// A `process.wasm` entry, ready to be run.
pub struct Command {
    pub(crate) name: Option<String>,
    pub(crate) linked: Linked,
    pub(crate) runs: Pooled<Runs>,
    /// The generation that it is of, where its calls go.
    pub(crate) within: Weak<dyn Invoke>,
}

/// End of a command.
#[derive(Debug)]
#[non_exhaustive]
pub enum Exit {
    /// With an exit code: the guest's own, or 0 and 1 for the two sides of its `result`.
    Code(i32),
    /// With a value: the method is a function that gives one.
    Value(Lifted),
}

impl Command {
    /// The entry.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.runs.id
    }

    /// `meta.command.name`, if the entry has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the method takes and gives: nothing and a `result` for `wasi:cli/run`.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        self.linked.mapping().signature()
    }

    /// Whether [`Command::run`] hands its arguments to the method: it has parameters. The guest finds
    /// them among its command-line arguments in any case.
    #[must_use]
    pub fn takes_values(&self) -> bool {
        !self.signature().params.is_empty()
    }

    /// Runs it to its end. The guest's command line is the command's name, the entry's `wasi.args`, then
    /// `arguments`; `values` are what the method is called with, when it has parameters. A stream whose interface
    /// (`wasi:cli/stdin` …) the entry does not grant is as [`Stdio::Log`].
    ///
    /// Dropping the future stops the guest, and so does a drain whose grace is over.
    ///
    /// # Errors
    /// When the guest traps, does what it may not, or goes over a limit; the error side of a `result`
    /// that carries a value is [`CallError::Function`].
    pub async fn run(
        &self,
        arguments: &[String],
        values: Args<'_>,
        stdio: Stdio,
    ) -> Result<Exit, CallError> {
        let args = self.linked.mapping().lower_args(values).map_err(|error| {
            CallError::InvalidInput { id: self.id().clone(), source: error.into() }
        })?;
        let running = Running { command: self, arguments, stdio, args };
        let context = CallContext::new(Caller::Command);
        let deadline = self.runs.deadline(&context);
        match self.runs.serve(&context, deadline, running).await {
            Ok(result) => self.exit(self.linked.mapping().lift(result)),
            Err(CallError::Exited { code, .. }) => Ok(Exit::Code(code)),
            Err(error) => Err(error),
        }
    }

    /// The destinations of its streams: those that its entry does not grant are as a function's.
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

    /// Imports of the guest, with those that its method may call.
    pub(crate) fn linkage(&self) -> Linkage<'_> {
        self.guest().linkage().of_command()
    }

    /// Its runs, as a pool.
    pub(crate) fn pool(&self) -> &dyn AnyPool {
        &*self.runs.pool
    }

    /// The guest's own name.
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
            Outcome::Error(error) if fails => {
                let error = Box::new(error.to_value());
                Err(CallError::Function { id: self.id().clone(), error })
            }
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

    async fn run(self, (): &mut (), turn: Turn<'_>) -> Result<Option<Packed>, GuestFailure> {
        let Self { command, arguments, stdio, args } = self;
        let (guest, deadline) = (command.guest(), turn.deadline.at);
        let environment = guest.plan.environment()?;
        let streams = command.streams(stdio);
        let wasi = guest.plan.build_command(&environment, streams, command.called(), arguments)?;
        let began = now();
        let mut instance = guest.instantiate(wasi, deadline).await?;
        let made = now();
        // It keeps its generation for as long as it runs.
        guest.lend(&mut instance, &command.within, &turn);
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
