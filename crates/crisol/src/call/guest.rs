//! WebAssembly guests: the instances that serve calls, and their failures as callers know them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use crisol_core::{CallError, EntryId, printable};
use crisol_engine::{
    Compiled, Denial, Failure, Funcs, Import, Instance, Limits, Linked, Outgoing, Reach, Reached,
    Surroundings, Unreachable,
};
use crisol_pool::{Factory, Fate, Retired};
use crisol_wasi::{Environment, PeerError, Peers, Plan, PlanError, Stdio};

use super::failure::Cause;
use super::linkage::{Linkage, token};
use super::pipeline::{Turn, Workers};
use super::within::Within;

/// Code joined to what it may use.
#[derive(Clone)]
pub(crate) enum Export {
    Function(Linked),
    #[cfg(feature = "http")]
    Handler(crisol_engine::LinkedProxy),
}

impl Export {
    /// All imports of the code.
    pub(crate) fn imports(&self) -> &[Import] {
        match self {
            Self::Function(linked) => linked.imports(),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.imports(),
        }
    }

    /// The interface and name of the export that is called.
    pub(crate) fn name(&self) -> (Option<&str>, &str) {
        match self {
            Self::Function(linked) => (linked.export().interface.as_deref(), &linked.export().name),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.export(),
        }
    }

    /// The machine code that runs.
    pub(crate) fn code(&self) -> &Compiled {
        match self {
            Self::Function(linked) => linked.code(),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.code(),
        }
    }

    /// Whether an instance ends with its first call.
    fn runs_once(&self) -> bool {
        match self {
            Self::Function(linked) => linked.runs_once(),
            #[cfg(feature = "http")]
            Self::Handler(_) => false,
        }
    }

    /// Whether it may call other functions.
    pub(crate) fn calls_others(&self) -> bool {
        match self {
            Self::Function(linked) => linked.calls_others(),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.calls_others(),
        }
    }
}

/// The guest of one entry: compiled, linked, limited.
pub(crate) struct Guest {
    pub(crate) export: Export,
    /// Imports that its method may call.
    pub(crate) reached: Reached,
    /// Those that its entry does not declare, for the error of calling one.
    pub(crate) undeclared: BTreeSet<String>,
    /// The outside as the guest sees it.
    pub(crate) plan: Plan,
    pub(crate) limits: Limits,
    /// Its access to others over HTTP.
    pub(crate) outgoing: Outgoing,
    /// Instances that the engine may hold, for the error when there are no more.
    pub(crate) instances: u64,
    /// Whether its code may call other functions.
    pub(crate) calls_others: bool,
}

impl Guest {
    /// Imports of the guest, with those that its method may call.
    pub(crate) fn linkage(&self) -> Linkage<'_> {
        let Self { export, reached, plan, .. } = self;
        Linkage::new(export.code(), export.imports(), reached, plan)
    }

    /// Makes an instance around what `plan` built.
    pub(crate) async fn instantiate(
        &self,
        wasi: impl Into<Surroundings>,
        deadline: Option<Instant>,
    ) -> Result<Instance, Failure> {
        let surroundings = Surroundings { outgoing: Some(self.outgoing.clone()), ..wasi.into() };
        match &self.export {
            Export::Function(linked) => {
                linked.instantiate(surroundings, self.limits, deadline).await
            }
            #[cfg(feature = "http")]
            Export::Handler(linked) => {
                linked.instantiate(surroundings, self.limits, deadline).await
            }
        }
    }

    /// Lends an instance the way to other functions for one call. A guest that calls none pays nothing for it.
    pub(crate) fn lend(&self, instance: &mut Instance, within: impl Within, turn: &Turn<'_>) {
        if self.calls_others
            && let Some(invoke) = within.invoke()
        {
            instance.lend(Funcs { invoke, context: turn.nested() });
        }
    }

    fn disposition(&self, failure: Option<&GuestFailure>) -> Fate {
        match failure {
            None if self.export.runs_once() => Fate::Retire(Retired::Exited),
            None => Fate::Reuse,
            Some(GuestFailure::Engine(Failure::Deadline { .. })) => Fate::Retire(Retired::TimedOut),
            Some(GuestFailure::Engine(Failure::Exited(_))) => Fate::Retire(Retired::Exited),
            Some(_) => Fate::Retire(Retired::Failed),
        }
    }

    fn classify(&self, id: &EntryId, failure: GuestFailure) -> Cause {
        let id = id.clone();
        let failure = match failure {
            GuestFailure::Engine(failure) => failure,
            GuestFailure::Plan(error) => {
                return Cause::Error(CallError::Environment { id, source: error.into() });
            }
        };
        Cause::Error(match failure {
            Failure::Deadline { running, waiting } => return Cause::Deadline { running, waiting },
            Failure::Denied(denial) => CallError::Denied {
                id,
                fix: self.fix(&denial),
                offered: denial.offered,
                interface: printable(&denial.interface).into_owned(),
                function: printable(&denial.function).into_owned(),
            },
            Failure::Exited(code) => CallError::Exited { id, code },
            Failure::Limit(limit) => CallError::Limit { id, limit },
            Failure::Exhausted(_) => CallError::NoInstance { id, allowed: self.instances },
            Failure::OverMemory(over) => CallError::OverMemory { id, over },
            Failure::NoMemory(error) => CallError::NoMemory { id, source: error.into() },
            Failure::Trap(trapped) => CallError::Trap { id, source: trapped.into() },
            Failure::HostFunction { function, source } => {
                CallError::HostFunction { id, function, source }
            }
            Failure::Host(error) => CallError::Internal { id, source: error.into() },
            other => CallError::Internal { id, source: other.into() },
        })
    }

    /// Advice about a denied call. One answer is to be enough: a guest that prints, say, calls `wasi:filesystem` first,
    /// and would fail at the next interface with that alone added.
    fn fix(&self, denial: &Denial) -> String {
        if let Some(reason) = &denial.reason {
            return format!("no import grants it, since {}", printable(reason));
        }
        if !denial.offered {
            return "no import grants it, so build the code for interfaces that this host has"
                .to_owned();
        }
        let token = token(denial.grant.unwrap_or(&denial.interface));
        let others = self.undeclared.iter().filter(|other| **other != token);
        let others: Vec<_> = others.map(|other| format!("`{other}`")).collect();
        let fix = format!("add `{token}` to its `imports`");
        if others.is_empty() {
            return fix;
        }
        format!("{fix}; its code may also need {}, undeclared too", others.join(", "))
    }
}

/// Failure of a guest, or of making one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestFailure {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Engine(#[from] Failure),
}

/// An instance and the variables it was made with. A call that finds others must not use it.
pub(crate) struct Worker {
    pub(crate) instance: Instance,
    environment: Environment,
}

/// Instances of a guest, made by its pool.
pub(crate) struct Instances(pub(crate) Guest);

impl Factory for Instances {
    type Worker = Worker;
    type Error = GuestFailure;

    async fn make(&self) -> Result<Worker, GuestFailure> {
        let environment = self.0.plan.environment()?;
        let wasi = self.0.plan.build(&environment, Stdio::Log)?;
        // No deadline here: the pool bounds how long a worker may take to be made.
        let instance = self.0.instantiate(wasi, None).await?;
        Ok(Worker { instance, environment })
    }
}

impl Workers for Instances {
    fn fitting(&self) -> Result<impl FnMut(&Worker) -> bool + Send, GuestFailure> {
        let environment = self.0.plan.environment()?;
        Ok(move |worker: &Worker| worker.environment == environment)
    }

    fn disposition(&self, failure: Option<&GuestFailure>) -> Fate {
        self.0.disposition(failure)
    }

    fn classify(&self, id: &EntryId, failure: GuestFailure) -> Cause {
        self.0.classify(id, failure)
    }
}

/// Runs of a guest that makes its instance for the streams of each: its pool keeps nothing, and counts and interrupts
/// the runs.
pub(crate) struct Runs(pub(crate) Guest);

impl Factory for Runs {
    type Worker = ();
    type Error = GuestFailure;

    async fn make(&self) -> Result<(), GuestFailure> {
        Ok(())
    }
}

impl Workers for Runs {
    fn fitting(&self) -> Result<impl FnMut(&()) -> bool + Send, GuestFailure> {
        Ok(|(): &()| true)
    }

    fn disposition(&self, failure: Option<&GuestFailure>) -> Fate {
        self.0.disposition(failure)
    }

    fn classify(&self, id: &EntryId, failure: GuestFailure) -> Cause {
        self.0.classify(id, failure)
    }
}

/// The allow-list of a function, as the engine asks it.
struct Listed(Arc<Peers>);

#[async_trait]
impl Reach for Listed {
    async fn reach(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        self.0.reach(host, port).await.map_err(|error| match error {
            PeerError::Unresolved { .. } => Unreachable::NoAddress,
            _ => Unreachable::Denied,
        })
    }
}

/// The access to others over HTTP that the instances of a plan share.
pub(crate) fn outgoing(plan: &Plan) -> Outgoing {
    Outgoing::new(Arc::new(Listed(Arc::clone(plan.peers()))))
}
