//! The runtime handle: holds the current generation of an app and calls it from Rust.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use crisol_core::{Args, CallContext, CallError, EntryId, Invoke, Reply, Signature, Value};
use crisol_engine::Engine;
use crisol_pool::strategy::adaptive::Decision;
use crisol_pool::{Drained, Stats};
use crisol_schema::{Entry, KindName};
use crisol_wasi::EnvError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::settings::Settings;
use crate::app::{CommandNotFound, Generation};
use crate::call::{self, Command};
use crate::load::SourcePaths;

/// Handle of a loaded app, ready for calls. A clone shares the app and costs a reference count.
///
/// The loaded app is a [`Generation`], which is immutable; a change replaces it with a new one. Each call runs from
/// start to end in the generation that was current at its start.
///
/// ```no_run
/// use crisol::{Runtime, Value};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().app("docs/examples/tour").load()?;
/// // Rust types, checked against the signature.
/// let product: i32 = runtime.call("myns:compute", (6, 7)).await?;
/// // Values whose types are known only at run time.
/// let same = runtime.call_values("myns:compute", vec![Value::Int(6), Value::Int(7)]).await?;
/// assert_eq!((product, same), (42, Value::Int(42)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    current: ArcSwap<Generation>,
    /// Lock that the change in progress holds.
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    /// Former generations that a call or another owner still holds.
    retired: Mutex<Vec<Weak<Generation>>>,
}

/// Statistics of one function or HTTP handler at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FunctionStats {
    /// The id of its entry.
    pub id: EntryId,
    /// The kind of its entry.
    pub kind: KindName,
    /// True for an HTTP handler: it answers requests itself and cannot be called.
    pub is_handler: bool,
    /// Statistics of its pool.
    pub pool: Stats,
}

/// Statistics of a runtime at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The number of the current generation.
    pub generation: u64,
    /// Number of older generations that a call or another owner still holds.
    pub retiring: usize,
    /// Statistics of each function and HTTP handler, in the order of ids.
    pub functions: Vec<FunctionStats>,
    /// Bytes that all instances and scripts hold, and that free slots of the engine may keep.
    pub memory_used: u64,
    /// Bytes that they may hold; `u64::MAX` without a bound.
    pub memory_limit: u64,
}

impl Inner {
    /// Makes a generation the current one.
    pub(crate) fn replace(&self, old: Arc<Generation>, new: Arc<Generation>) {
        self.current.store(new);
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.push(Arc::downgrade(&old));
        // Without running calls, this drops the old generation before the count below.
        drop(old);
        retired.retain(|generation| generation.strong_count() > 0);
    }
}

impl Runtime {
    pub(crate) fn new(engine: Engine, settings: Settings, first: Arc<Generation>) -> Self {
        let budget = engine.budget().clone();
        let runtime = Self(Arc::new(Inner {
            engine,
            settings,
            current: ArcSwap::new(first),
            changing: Arc::default(),
            retired: Mutex::default(),
        }));
        let inner = Arc::downgrade(&runtime.0);
        // Pools drop ready instances that they need not keep before a call is refused for lack of memory.
        budget.on_shortage(move || {
            inner.upgrade().is_some_and(|inner| inner.current.load().drop_idle() > 0)
        });
        runtime
    }

    /// Returns the current generation. Several calls through one generation see the same state of the app.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation> {
        self.0.current.load_full()
    }

    /// Calls `id` with Rust values: a tuple or sequence holds the arguments in order, a struct holds them by name, `()`
    /// passes none. Converts the result to `R`; the result of a WebAssembly function needs no tree of [`Value`]s.
    ///
    /// # Errors
    /// See [`CallError`]; the error side of the function's own `result` is
    /// [`ErrorKind::Function`](crate::ErrorKind::Function).
    pub async fn call<R: DeserializeOwned>(
        &self,
        id: &str,
        args: impl Serialize,
    ) -> Result<R, CallError> {
        self.0.current.load().call(id, args).await
    }

    /// Calls `id` with values whose types are known only at run time.
    ///
    /// # Errors
    /// See [`Runtime::call`].
    pub async fn call_values(&self, id: &str, args: Vec<Value>) -> Result<Value, CallError> {
        self.0.current.load().call_values(id, args).await
    }

    /// Calls `id` with arguments as WAVE, the text format of component values, in parentheses: `(6, {name: "Ann"})`.
    /// Returns the result as WAVE; an empty string for a function without a result.
    ///
    /// # Errors
    /// See [`Runtime::call`].
    pub async fn call_wave(&self, id: &str, args: &str) -> Result<String, CallError> {
        self.0.current.load().call_wave(id, args).await
    }

    /// Returns the signature of `id` in the current generation; none if it has no signature.
    #[must_use]
    pub fn signature(&self, id: &str) -> Option<Arc<Signature>> {
        self.generation().signature(id)
    }

    /// Creates the first workers of every pool with `warm_start` and waits until they are ready. Call it before
    /// `Runtime::serve`.
    ///
    /// # Errors
    /// Fails if a worker cannot be created: for example, a start function fails or a required variable is missing.
    pub async fn warm(&self) -> Result<(), CallError> {
        self.generation().warm(None).await
    }

    /// Returns the statistics of the pool of `id`; none if it has no pool.
    #[must_use]
    pub fn stats(&self, id: &str) -> Option<Stats> {
        self.generation().stats(id)
    }

    /// Returns the commands of the current generation, in the order of their ids.
    #[must_use]
    pub fn commands(&self) -> Vec<Arc<Command>> {
        self.generation().commands().to_vec()
    }

    /// Looks up a command by name or id.
    ///
    /// # Errors
    /// [`CommandNotFound`], with the most similar name if one is near.
    pub fn command(&self, name: &str) -> Result<Arc<Command>, CommandNotFound> {
        self.generation().command(name).cloned()
    }

    /// Returns the last scaling decisions of the pool of `id`, oldest first, each with its reason. Empty for pools that
    /// are not adaptive; none if `id` has no pool.
    ///
    /// ```no_run
    /// # let runtime = crisol::Runtime::builder().app("docs/examples/tour").load()?;
    /// for decision in runtime.decisions("myns:compute").unwrap_or_default() {
    ///     println!("{decision}");
    /// }
    /// # Ok::<(), crisol::LoadError>(())
    /// ```
    #[must_use]
    pub fn decisions(&self, id: &str) -> Option<Vec<Decision>> {
        self.generation().decisions(id)
    }

    /// Shuts the app down: refuses new calls with [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) and lets admitted ones continue. After
    /// `grace` it refuses the calls that still wait and interrupts those that run ([`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted)). This
    /// covers functions, HTTP handlers and commands, also those of older generations. Resolves when no call is left,
    /// or after `grace` with the number of the rest.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(runtime: crisol::Runtime) {
    /// let drained = runtime.drain(Duration::from_secs(30)).await;
    /// if !drained.is_clean() {
    ///     eprintln!("{} calls were interrupted", drained.interrupted);
    /// }
    /// # }
    /// ```
    pub async fn drain(&self, grace: Duration) -> Drained {
        let old = {
            let retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.iter().filter_map(Weak::upgrade).collect::<Vec<_>>()
        };
        let current = self.generation();
        let generations = std::iter::once(&current).chain(&old);
        call::drain(generations.flat_map(|generation| generation.pools_to_drain()), grace).await
    }

    /// Returns the paths that the current generation was loaded from; [`Runtime::reload`] reads them again.
    #[must_use]
    pub fn source_paths(&self) -> SourcePaths {
        SourcePaths::of(self.generation().registry(), self.0.settings.app.as_deref())
    }

    /// Returns the statistics of all functions, for metrics of the embedding program. A function keeps its counters
    /// through changes that do not affect it; a rebuild resets them.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let current = self.generation();
        let retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let retiring = retired.iter().filter(|old| old.strong_count() > 0).count();
        drop(retired);
        let budget = self.0.engine.budget();
        Snapshot {
            generation: current.number(),
            retiring,
            functions: functions(&current),
            memory_used: budget.used(),
            memory_limit: budget.limit(),
        }
    }

    /// Sets the value of an `env.variable` in the storage that its entry names; `None` removes it. The next call sees
    /// the value. A value in an `env.storage.memory` survives changes of the app.
    ///
    /// # Errors
    /// Fails if the variable is read-only or unknown, or its storage cannot store values.
    pub fn set_variable(&self, id: &str, value: Option<&str>) -> Result<(), EnvError> {
        self.generation().resources().set(&id.parse()?, value)
    }

    /// Returns the ids of all functions of the current generation, in order.
    #[must_use]
    pub fn functions(&self) -> Vec<EntryId> {
        self.generation().functions()
    }
}

/// Collects the statistics of every function and HTTP handler, in the order of ids.
fn functions(generation: &Generation) -> Vec<FunctionStats> {
    let stats = |entry: &Entry| {
        let (id, pool) = (entry.id.clone(), generation.stats(entry.id.as_str())?);
        let is_handler = generation.callable(&id).is_none();
        Some(FunctionStats { id, kind: entry.kind.name(), is_handler, pool })
    };
    generation.registry().iter().filter_map(stats).collect()
}

/// Runs each call in the generation that is current at its start.
#[async_trait]
impl Invoke for Runtime {
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        self.0.current.load().dispatch(id, context, args).await
    }

    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>> {
        Runtime::signature(self, id.as_str())
    }

    fn admits(&self, id: &EntryId) -> Result<(), CallError> {
        self.0.current.load().admits(id)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime").field(&self.generation()).finish()
    }
}
