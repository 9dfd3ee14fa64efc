//! The runtime: the current generation of an app, and the ways to call it from Rust.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use crisol_core::{Args, CallContext, CallError, EntryId, Invoke, Reply, Signature, Value};
use crisol_engine::Engine;
use crisol_pool::strategy::adaptive::Decision;
use crisol_pool::{Drained, Stats};
use crisol_wasi::EnvError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::settings::Settings;
use crate::app::{CommandNotFound, Generation};
use crate::call::{self, Command};
use crate::load::Reads;

/// An app, loaded and ready to be called. Cloning is a reference count.
///
/// What is loaded is a [`Generation`], which never changes; a change puts a new one in its place. Each
/// call runs in the generation that was current when it began, from start to end.
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    current: ArcSwap<Generation>,
    /// Held by the change that is being made.
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    /// Generations that had been current, while a call is left in them.
    retired: Mutex<Vec<Weak<Generation>>>,
}

/// What a runtime has done so far, read at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The number of the current generation.
    pub generation: u64,
    /// Older generations in which calls still run.
    pub retiring: usize,
    /// What the pool of each function has done, in the order of ids.
    pub functions: Vec<(EntryId, Stats)>,
    /// Bytes that all instances and scripts hold now, and what free slots of the engine may keep.
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
        // If no call is left in it, it goes here.
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
        // Ready instances that no pool is to keep go before a call is refused.
        budget.on_shortage(move || {
            inner.upgrade().is_some_and(|inner| inner.current.load().shed() > 0)
        });
        runtime
    }

    /// The current generation: several calls through it see one and the same state of the app.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation> {
        self.0.current.load_full()
    }

    /// Calls `id` with Rust values: a tuple or sequence holds the arguments in order, a struct holds
    /// them by name, `()` is none. The result becomes an `R` without a tree of [`Value`]s in between.
    ///
    /// # Errors
    /// See [`CallError`]; the error side of the function's own `result` is [`CallError::Function`].
    pub async fn call<R: DeserializeOwned>(
        &self,
        id: &str,
        args: impl Serialize,
    ) -> Result<R, CallError> {
        self.generation().call(id, args).await
    }

    /// Calls `id` with values whose types are known only now.
    ///
    /// # Errors
    /// As [`Runtime::call`].
    pub async fn call_values(&self, id: &str, args: Vec<Value>) -> Result<Value, CallError> {
        self.generation().call_values(id, args).await
    }

    /// Calls `id` with arguments written as WAVE, the text format of component values, in parentheses
    /// as in a call: `(6, {name: "Ann"})`. The result is WAVE too; nothing for a function without one.
    ///
    /// # Errors
    /// As [`Runtime::call`].
    pub async fn call_wave(&self, id: &str, args: &str) -> Result<String, CallError> {
        self.generation().call_wave(id, args).await
    }

    /// What `id` takes and gives, as of now.
    #[must_use]
    pub fn signature(&self, id: &str) -> Option<Arc<Signature>> {
        self.generation().signature(id)
    }

    /// Makes the first instances of every pool with `warm_start`, and waits until they are ready: to be
    /// done before an app is served.
    ///
    /// # Errors
    /// When an instance cannot be made: a start function fails, a required variable is missing.
    pub async fn warm(&self) -> Result<(), CallError> {
        self.generation().warm(None).await
    }

    /// What the pool of `id` has done so far.
    #[must_use]
    pub fn stats(&self, id: &str) -> Option<Stats> {
        self.generation().stats(id)
    }

    /// The commands, in the order of their ids, as of now.
    #[must_use]
    pub fn commands(&self) -> Vec<Arc<Command>> {
        self.generation().commands().to_vec()
    }

    /// The command that is called `name`; its id will do too.
    ///
    /// # Errors
    /// When there is none: the error has the name that is most like it.
    pub fn command(&self, name: &str) -> Result<Arc<Command>, CommandNotFound> {
        self.generation().command(name).cloned()
    }

    /// Why the pool of `id` has as many workers as it has: the last decisions of an adaptive pool, oldest
    /// first, each with its reason. Empty for pools that do not scale.
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

    /// Stops: from now on calls are refused as [`CallError::Unavailable`], those inside go on. After
    /// `grace` those that still wait are refused too, and those that run are interrupted
    /// ([`CallError::Interrupted`]): functions, HTTP handlers and commands alike, also those of generations that were
    /// replaced. Resolves when none is left, or after `grace` with their number.
    pub async fn drain(&self, grace: Duration) -> Drained {
        let old = {
            let retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.iter().filter_map(Weak::upgrade).collect::<Vec<_>>()
        };
        let current = self.generation();
        let generations = std::iter::once(&current).chain(&old);
        call::drain(generations.flat_map(|generation| generation.drained()), grace).await
    }

    /// Paths that the current generation was loaded from; [`Runtime::reload`] reads them again.
    #[must_use]
    pub fn reads(&self) -> Reads {
        Reads::of(self.generation().registry(), self.0.settings.app.as_deref())
    }

    /// What all functions have done so far, for a program's own metrics. A function keeps its numbers
    /// through changes that do not concern it, and begins anew when it is rebuilt.
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
            functions: current.all_stats(),
            memory_used: budget.used(),
            memory_limit: budget.limit(),
        }
    }

    /// Sets the value of an `env.variable`, or removes it with none, in the storage that its entry names.
    /// The next call sees it; a value in an `env.storage.memory` outlives changes of the app.
    ///
    /// # Errors
    /// When the variable is read only, unknown or in no storage that takes values.
    pub fn set_variable(&self, id: &EntryId, value: Option<&str>) -> Result<(), EnvError> {
        self.generation().resources().set(id, value)
    }

    /// The ids of all functions, in order, as of now.
    #[must_use]
    pub fn functions(&self) -> Vec<EntryId> {
        self.generation().functions()
    }
}

/// Each call goes to the generation that is current when it begins.
#[async_trait]
impl Invoke for Runtime {
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        self.generation().dispatch(id, context, args).await
    }

    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>> {
        Runtime::signature(self, id.as_str())
    }

    fn admits(&self, id: &EntryId) -> Result<(), CallError> {
        self.generation().admits(id)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime").field(&self.generation()).finish()
    }
}
