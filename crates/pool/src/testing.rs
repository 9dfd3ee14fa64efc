//! Fakes for whoever tests something that stands on a pool: a factory that does as it is told.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::factory::Factory;
use crate::pool::Pool;

/// How a worker is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Making {
    /// At once.
    Prompt,
    /// After a while, by tokio's clock.
    After(Duration),
    /// Not: the factory fails.
    Fail,
    /// Not: the factory panics.
    Panic,
    /// Never.
    Hang,
}

/// A factory of [`FakeWorker`]s. Clones share everything.
#[derive(Debug, Clone)]
pub struct Fakes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    script: Mutex<Script>,
    asked: AtomicUsize,
    made: AtomicUsize,
    alive: AtomicUsize,
    most_alive: AtomicUsize,
}

#[derive(Debug)]
struct Script {
    once: VecDeque<Making>,
    always: Making,
}

/// A worker that counts itself.
#[derive(Debug)]
pub struct FakeWorker {
    number: usize,
    inner: Arc<Inner>,
}

/// Sets how many calls of `pool` may run at once, as an adaptive pool's background task does; the strategy's
/// maximum bounds it, and there are always more than are blocked by those who wait.
pub fn resize<F: Factory>(pool: &Pool<F>, workers: usize) {
    pool.settle(pool.gate.resize(workers));
}

/// The factory was told to fail.
#[derive(Debug, thiserror::Error)]
#[error("the fake was told to fail")]
pub struct FakeError;

impl Fakes {
    /// Workers are made at once.
    #[must_use]
    pub fn new() -> Self {
        let script = Mutex::new(Script { once: VecDeque::new(), always: Making::Prompt });
        Self(Arc::new(Inner {
            script,
            asked: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            most_alive: AtomicUsize::new(0),
        }))
    }

    /// The next workers are made as told, one after the other.
    pub fn next(&self, making: impl IntoIterator<Item = Making>) {
        self.script().once.extend(making);
    }

    /// From now on every worker is made as told, unless [`Fakes::next`] says otherwise.
    pub fn always(&self, making: Making) {
        self.script().always = making;
    }

    /// How often a worker was asked for.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    /// How many were made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.0.made.load(SeqCst)
    }

    /// How many exist.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.0.alive.load(SeqCst)
    }

    /// How many existed at most at the same time.
    #[must_use]
    pub fn most_alive(&self) -> usize {
        self.0.most_alive.load(SeqCst)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Fakes {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeWorker {
    /// The first worker made is 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.inner.alive.fetch_sub(1, SeqCst);
    }
}

impl Factory for Fakes {
    type Worker = FakeWorker;
    type Error = FakeError;

    async fn make(&self) -> Result<FakeWorker, FakeError> {
        self.0.asked.fetch_add(1, SeqCst);
        let making = {
            let mut script = self.script();
            script.once.pop_front().unwrap_or(script.always)
        };
        match making {
            Making::Prompt => {}
            Making::After(time) => tokio::time::sleep(time).await,
            Making::Fail => return Err(FakeError),
            #[expect(clippy::panic, reason = "a panic is what was asked for")]
            Making::Panic => panic!("the fake was told to panic"),
            Making::Hang => pending().await,
        }
        let number = self.0.made.fetch_add(1, SeqCst) + 1;
        let alive = self.0.alive.fetch_add(1, SeqCst) + 1;
        self.0.most_alive.fetch_max(alive, SeqCst);
        Ok(FakeWorker { number, inner: Arc::clone(&self.0) })
    }
}
