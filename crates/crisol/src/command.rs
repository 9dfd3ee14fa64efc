//! A `process.wasm`: one run from start to end, on streams of its own.
//!
//! A command is not pooled: each run makes an instance and drops it. It has no time limit but its own
//! `limits.max_execution_ms`, since people leave commands running for as long as they like.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crisol_core::{Args, CallContext, CallError, Caller, EntryId, Signature, Type};
use crisol_engine::{Failure, Funcs, Limits, Linked, Outgoing, Reached, Surroundings};
use crisol_wasi::{Plan, Stdio, Streams};
use crisol_wit::{Lifted, Outcome};

use crate::failure::Ended;
use crate::generation::Generation;
use crate::imports::Linkage;
use crate::names;
use crate::pooled::now;

/// A `process.wasm` entry, ready to be run.
pub struct Command {
    pub(crate) id: EntryId,
    pub(crate) name: Option<String>,
    pub(crate) linked: Linked,
    pub(crate) plan: Plan,
    pub(crate) limits: Limits,
    pub(crate) max_execution: Option<Duration>,
    /// Instances that the engine may hold, for the error when there are no more.
    pub(crate) instances: u64,
    /// Imports that the method may call.
    pub(crate) reached: Reached,
    /// Those that the entry does not declare, for the error of a denied call.
    pub(crate) undeclared: BTreeSet<String>,
    /// What it may ask over HTTP.
    pub(crate) outgoing: Outgoing,
    /// The generation that it is of, where what it calls is looked up.
    pub(crate) within: Weak<Generation>,
}

/// How a command ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Exit {
    /// With an exit code: the guest's own, or 0 and 1 for the two sides of its `result`.
    Code(i32),
    /// With a value: the method is a function that gives one.
    Value(Lifted),
}

/// A name that no command has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no command `{name}`{}", hint(.nearest.as_deref(), .known))]
pub struct CommandNotFound {
    name: String,
    nearest: Option<String>,
    known: Vec<String>,
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(near) => format!(": did you mean `{near}`?"),
        None if known.is_empty() => {
            ": the app has no `process.wasm`, whose `meta.command.name` would be one".to_owned()
        }
        None => format!(": there are `{}`", known.join("`, `")),
    }
}

impl CommandNotFound {
    pub(crate) fn new(name: &str, commands: &[Arc<Command>]) -> Self {
        let called = |command: &Command| command.name().unwrap_or(command.id.as_str()).to_owned();
        let known: Vec<String> = commands.iter().map(|command| called(command)).collect();
        let alike = known.iter().map(|near| (strsim::jaro_winkler(name, near), near));
        let nearest =
            alike.filter(|(alike, _)| *alike > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b));
        let nearest = nearest.map(|(_, near)| near.clone());
        // Else by what its entry is called.
        let by_id = || {
            let id = names::nearest(name, commands.iter().map(|command| &command.id))?;
            commands.iter().find(|command| command.id == *id).map(|command| called(command))
        };
        let nearest = nearest.or_else(by_id);
        Self { name: name.to_owned(), nearest, known }
    }
}

impl Command {
    /// The entry.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.id
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
    /// Dropping the future stops the guest.
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
            CallError::InvalidInput { id: self.id.clone(), source: error.into() }
        })?;
        // A limit beyond the clock's range is none.
        let deadline = self.max_execution.and_then(|limit| now().checked_add(limit));
        let mut ended = self.ended();
        let planned = self.plan.environment().and_then(|environment| {
            let streams = self.streams(stdio);
            self.plan.build_command(&environment, streams, self.called(), arguments)
        });
        let wasi = planned.map_err(|error| ended.by_making(error.into()))?;
        let began = now();
        let surroundings = Surroundings { wasi, outgoing: Some(self.outgoing.clone()) };
        let made = self.linked.instantiate(surroundings, self.limits, deadline).await;
        ended.making = now().saturating_duration_since(began);
        let result = match made {
            Ok(mut instance) => {
                if let Some(funcs) = self.funcs(deadline) {
                    instance.lend(funcs);
                }
                instance.call_since(now(), args, deadline).await
            }
            Err(failure) => Err(failure),
        };
        match result {
            Ok(result) => self.exit(self.linked.mapping().lift(result)),
            Err(Failure::Exited(code)) => Ok(Exit::Code(code)),
            Err(failure) => Err(ended.by_failure(failure)),
        }
    }

    /// Where its streams lead: those that its entry does not grant are as a function's.
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

    /// What it is linked to.
    pub(crate) fn linkage(&self) -> Linkage<'_> {
        let Self { linked, reached, plan, .. } = self;
        Linkage::new(linked.code(), linked.imports(), reached, plan).of_command()
    }

    /// What it calls functions through. It keeps its generation for as long as it runs.
    fn funcs(&self, deadline: Option<Instant>) -> Option<Funcs> {
        if !self.linked.calls_others() {
            return None;
        }
        let context = CallContext::new(Caller::Command).within(&self.id, deadline);
        Some(Funcs { invoke: self.within.upgrade()?, context })
    }

    /// What the guest finds as its own name.
    fn called(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id.name())
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
                Err(CallError::Function { id: self.id.clone(), error })
            }
            Outcome::Error(_) => Ok(Exit::Code(1)),
        }
    }

    fn ended(&self) -> Ended<'_> {
        Ended {
            id: &self.id,
            limit: self.max_execution,
            queue: Duration::ZERO,
            making: Duration::ZERO,
            instances: self.instances,
            undeclared: &self.undeclared,
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
