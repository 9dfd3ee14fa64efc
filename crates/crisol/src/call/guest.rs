//! WebAssembly guests: linked code with its plan and limits, pooled instances, the mapping of their failures.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use crisol_core::{CallError, EntryId, ErrorDetails, Overload, printable};
use crisol_engine::{
    Compiled, Denial, EntrySettings, Failure, Funcs, FunctionPre, Import, Instance,
    InstanceContext, Limits, OutboundPolicy, OutgoingHttp, ReachableImports, Unreachable,
};
use crisol_pool::{Disposition, Factory, Retired};
use crisol_wasi::{Environment, PeerError, Peers, Plan, PlanError, Stdio};

use super::failure::Cause;
use super::linkage::{Linkage, token};
use super::nested::NestedInvoke;
use super::pipeline::{CallScope, Workers};

/// Linked code: an export together with the host functions that it may use.
#[derive(Clone)]
pub(crate) enum Export {
    Function(FunctionPre),
    #[cfg(feature = "http")]
    Handler(crisol_engine::ProxyPre),
}

impl Export {
    /// Returns all imports of the code.
    pub(crate) fn imports(&self) -> &[Import] {
        match self {
            Self::Function(linked) => linked.imports(),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.imports(),
        }
    }

    /// Returns the interface and name of the export.
    pub(crate) fn name(&self) -> (Option<&str>, &str) {
        match self {
            Self::Function(linked) => (linked.export().interface.as_deref(), &linked.export().name),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.export(),
        }
    }

    /// Returns the compiled code.
    pub(crate) fn code(&self) -> &Compiled {
        match self {
            Self::Function(linked) => linked.code(),
            #[cfg(feature = "http")]
            Self::Handler(linked) => linked.code(),
        }
    }

    /// Tells whether an instance serves one call only.
    fn runs_once(&self) -> bool {
        match self {
            Self::Function(linked) => linked.runs_once(),
            #[cfg(feature = "http")]
            Self::Handler(_) => false,
        }
    }

    /// Tells whether the code has imports, through which an instance sees its context.
    fn has_imports(&self) -> bool {
        match self {
            Self::Function(linked) => linked.has_imports(),
            #[cfg(feature = "http")]
            Self::Handler(_) => true,
        }
    }

    /// Tells whether the code may call other functions.
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
    pub(crate) reachable: ReachableImports,
    /// Tokens of imports that its method may call and its entry does not declare, for the error of a denied call.
    pub(crate) undeclared: BTreeSet<String>,
    /// WASI plan: variables, mounts and peers of the guest.
    pub(crate) plan: Plan,
    pub(crate) limits: Limits,
    /// Settings of the host interfaces that it is granted.
    pub(crate) settings: EntrySettings,
    /// Maximum number of instances in the engine, for the error when none is left.
    pub(crate) instances: u64,
    /// True if its code may call other functions.
    pub(crate) calls_others: bool,
}

impl Guest {
    /// Returns the guest's imports and which of them its method may call.
    pub(crate) fn linkage(&self) -> Linkage<'_> {
        let Self { export, reachable, plan, .. } = self;
        Linkage::new(export.code(), export.imports(), reachable, plan)
    }

    /// Creates the context of an instance: an empty one for code without imports, which sees nothing of it.
    fn context(&self, environment: &Environment) -> Result<InstanceContext, PlanError> {
        if self.export.has_imports() {
            return Ok(self.plan.build(environment, Stdio::Log)?.into());
        }
        self.plan.check_mounts()?;
        Ok(InstanceContext::default())
    }

    /// Creates an instance with the WASI context that `plan` built.
    pub(crate) async fn instantiate(
        &self,
        wasi: impl Into<InstanceContext>,
        deadline: Option<Instant>,
    ) -> Result<Instance, Failure> {
        let mut context: InstanceContext = wasi.into();
        // Code without imports sees nothing of them.
        if self.export.has_imports() {
            context = context.with_settings(self.settings.clone());
        }
        match &self.export {
            Export::Function(linked) => linked.instantiate(context, self.limits, deadline).await,
            #[cfg(feature = "http")]
            Export::Handler(linked) => linked.instantiate(context, self.limits, deadline).await,
        }
    }

    /// Gives an instance access to other functions for one call. Does nothing for a guest that calls none.
    pub(crate) fn lend(
        &self,
        instance: &mut Instance,
        nested: impl NestedInvoke,
        scope: &CallScope<'_>,
    ) {
        if self.calls_others
            && let Some(invoke) = nested.invoker()
        {
            instance.lend(Funcs { invoke, context: scope.nested_context() });
        }
    }

    fn disposition(&self, failure: Option<&GuestFailure>) -> Disposition {
        match failure {
            None if self.export.runs_once() => Disposition::Retire(Retired::Exited),
            None => Disposition::Reuse,
            Some(GuestFailure::Engine(Failure::Deadline { .. })) => {
                Disposition::Retire(Retired::TimedOut)
            }
            Some(GuestFailure::Engine(Failure::Exited(_))) => Disposition::Retire(Retired::Exited),
            Some(_) => Disposition::Retire(Retired::Failed),
        }
    }

    fn classify(&self, id: &EntryId, failure: GuestFailure) -> Cause {
        let failure = match failure {
            GuestFailure::Engine(failure) => failure,
            GuestFailure::Plan(error) => {
                return Cause::Error(CallError::environment(id, error));
            }
        };
        Cause::Error(match failure {
            Failure::Deadline { running, waiting } => return Cause::Deadline { running, waiting },
            Failure::OverMemory(over) => return Cause::OverMemory(over),
            Failure::Denied(denial) => CallError::new(id, self.denied(&denial)),
            Failure::Exited(code) => CallError::new(id, ErrorDetails::Exited { code }),
            Failure::Limit(limit) => CallError::new(id, ErrorDetails::Limit(limit)),
            Failure::Exhausted(_) => {
                CallError::saturated(id, Overload::Instances { allowed: self.instances })
            }
            Failure::NoMemory(error) => {
                CallError::saturated(id, Overload::SystemMemory).with_cause(error)
            }
            Failure::Trap(trapped) => CallError::trap(id, trapped),
            Failure::HostFunction { function, source } => {
                CallError::new(id, ErrorDetails::HostFunction { function }).with_cause(source)
            }
            Failure::Host(error) => CallError::internal(id, error),
            other => CallError::internal(id, other),
        })
    }

    fn denied(&self, denial: &Denial) -> ErrorDetails {
        ErrorDetails::Denied {
            fix: self.fix(denial),
            offered: denial.offered,
            interface: printable(&denial.interface).into_owned(),
            function: printable(&denial.function).into_owned(),
        }
    }

    /// Writes the advice for a denied call. It names all undeclared imports, since a guest with only the first one
    /// added would fail at the next: one that prints, for example, calls `wasi:filesystem` first.
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

/// Failure of a guest, or of creating its instance.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestFailure {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Engine(#[from] Failure),
}

/// An instance and the variables it was created with. A call whose variables differ must not use it.
pub(crate) struct Worker {
    pub(crate) instance: Instance,
    environment: Environment,
}

/// Pool factory of a guest's instances.
pub(crate) struct Instances(pub(crate) Guest);

impl Factory for Instances {
    type Worker = Worker;
    type Error = GuestFailure;

    async fn make(&self) -> Result<Worker, GuestFailure> {
        let environment = self.0.plan.environment()?;
        let wasi = self.0.context(&environment)?;
        // No deadline here: the pool bounds the time to create a worker.
        let instance = self.0.instantiate(wasi, None).await?;
        Ok(Worker { instance, environment })
    }
}

impl Workers for Instances {
    fn fitting(&self) -> Result<impl FnMut(&Worker) -> bool + Send, GuestFailure> {
        let environment = self.0.plan.environment()?;
        Ok(move |worker: &Worker| worker.environment == environment)
    }

    fn disposition(&self, failure: Option<&GuestFailure>) -> Disposition {
        self.0.disposition(failure)
    }

    fn classify(&self, id: &EntryId, failure: GuestFailure) -> Cause {
        self.0.classify(id, failure)
    }
}

/// Pool factory of a command's runs. Each run creates its own instance, for its own streams; the pool keeps no
/// workers and only counts and interrupts runs.
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

    fn disposition(&self, failure: Option<&GuestFailure>) -> Disposition {
        self.0.disposition(failure)
    }

    fn classify(&self, id: &EntryId, failure: GuestFailure) -> Cause {
        self.0.classify(id, failure)
    }
}

/// A function's allow-list of peers, as the engine's outbound policy.
struct AllowList(Arc<Peers>);

#[async_trait]
impl OutboundPolicy for AllowList {
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        self.0.reach(host, port).await.map_err(|error| match error {
            PeerError::Unresolved { .. } => Unreachable::NoAddress,
            _ => Unreachable::Denied,
        })
    }
}

/// Creates the settings of host interfaces that all instances of a plan share.
pub(crate) fn settings(plan: &Plan) -> EntrySettings {
    let allow_list = AllowList(Arc::clone(plan.peers()));
    EntrySettings::default().with(OutgoingHttp::new(Arc::new(allow_list)))
}
