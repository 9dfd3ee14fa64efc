//! Makes the engine's instances into the pool's workers: neither knows the other.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use crisol_engine::{
    Failure, Instance, Limits, Linked, Outgoing, Reach, Surroundings, Unreachable,
};
use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::{Config, Factory, Fate, Retired, SizeBelowWorkers, Strategy};
use crisol_wasi::{Environment, PeerError, Peers, Plan, PlanError, Stdio};

/// What there are instances of.
pub(crate) enum Callee {
    Function(Linked),
    #[cfg(feature = "http")]
    Proxy(crisol_engine::LinkedProxy),
}

/// Makes instances of one function.
pub(crate) struct Instances {
    pub(crate) linked: Callee,
    pub(crate) plan: Arc<Plan>,
    pub(crate) limits: Limits,
    /// What it may ask over HTTP; nothing without `wasi.network`.
    pub(crate) outgoing: Option<Outgoing>,
}

/// An instance and the variables it was made with. A call that finds others must not use it.
pub(crate) struct Worker {
    pub(crate) instance: Instance,
    pub(crate) environment: Environment,
}

/// Why an instance could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Engine(#[from] Failure),
}

impl Factory for Instances {
    type Worker = Worker;
    type Error = MakeError;

    async fn make(&self) -> Result<Worker, MakeError> {
        let environment = self.plan.environment()?;
        let wasi = self.plan.build(&environment, Stdio::Log)?;
        // No deadline here: the pool bounds how long a worker may take to be made.
        let surroundings = Surroundings { wasi, outgoing: self.outgoing.clone() };
        let instance = match &self.linked {
            Callee::Function(linked) => linked.instantiate(surroundings, self.limits, None).await?,
            #[cfg(feature = "http")]
            Callee::Proxy(linked) => linked.instantiate(surroundings, self.limits, None).await?,
        };
        Ok(Worker { instance, environment })
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

/// What the instances of a plan share to ask others over HTTP.
pub(crate) fn outgoing(plan: &Plan) -> Option<Outgoing> {
    plan.peers().map(|peers| Outgoing::new(Arc::new(Listed(Arc::clone(peers)))))
}

/// What becomes of an instance after a call.
pub(crate) fn fate<T>(outcome: &Result<T, Failure>) -> Fate {
    match outcome {
        Ok(_) => Fate::Reuse,
        Err(Failure::Deadline { .. }) => Fate::Retire(Retired::TimedOut),
        Err(Failure::Exited(_)) => Fate::Retire(Retired::Exited),
        Err(_) => Fate::Retire(Retired::Failed),
    }
}

/// The pool that an entry asks for.
pub(crate) fn config(pool: &crisol_schema::Pool) -> Result<Config, SizeBelowWorkers> {
    let at_least_one =
        |n: std::num::NonZeroU32| NonZeroUsize::try_from(n).unwrap_or(NonZeroUsize::MAX);
    let (strategy, warm_start) = match pool.strategy {
        crisol_schema::Strategy::Inline => (Strategy::inline(), false),
        crisol_schema::Strategy::Lazy { max_size, idle_timeout } => {
            let lazy = Lazy::new().with_max(at_least_one(max_size)).with_idle_timeout(idle_timeout);
            (Strategy::Lazy(lazy), false)
        }
        crisol_schema::Strategy::Static { workers, size, warm_start } => {
            let strategy = Strategy::fixed(Some(at_least_one(workers)), Some(at_least_one(size)))?;
            (strategy, warm_start)
        }
        crisol_schema::Strategy::Adaptive { max_size, warm_start } => {
            (Strategy::Adaptive(Adaptive::new().with_max(at_least_one(max_size))), warm_start)
        }
    };
    Ok(Config::new(strategy)
        .with_buffer(usize::try_from(pool.buffer).unwrap_or(usize::MAX))
        .with_reuse(pool.max_instance_reuse)
        .with_warm_start(warm_start))
}
