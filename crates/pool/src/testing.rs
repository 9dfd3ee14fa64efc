//! A scripted factory, for tests of code that uses a pool.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::factory::Factory;
use crate::pool::Pool;

/// Behaviour of the factory for one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MakeBehaviour {
    /// Returns at once.
    Prompt,
    /// Returns after a time on tokio's clock.
    After(Duration),
    /// Fails.
    Fail,
    /// Panics.
    Panic,
    /// Never returns.
    Hang,
}

/// A factory of [`FakeWorker`]s. Clones share their state.
#[derive(Debug, Clone)]
pub struct FakeFactory(Arc<Inner>);

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
    once: VecDeque<MakeBehaviour>,
    always: MakeBehaviour,
}

/// A worker that is counted while it lives.
#[derive(Debug)]
pub struct FakeWorker {
    number: usize,
    inner: Arc<Inner>,
}

/// Sets the number of calls of `pool` that may run at once, like an adaptive pool's background task. The strategy's
/// maximum caps it, and it stays above the number of workers blocked by waiting calls.
pub fn resize<F: Factory>(pool: &Pool<F>, workers: usize) {
    pool.apply(pool.gate.resize(workers));
}

/// Error of a scripted failure.
#[derive(Debug, thiserror::Error)]
#[error("the fake was told to fail")]
pub struct FakeError;

impl FakeFactory {
    /// Creates a factory that makes every worker at once.
    #[must_use]
    pub fn new() -> Self {
        let script = Mutex::new(Script { once: VecDeque::new(), always: MakeBehaviour::Prompt });
        Self(Arc::new(Inner {
            script,
            asked: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            most_alive: AtomicUsize::new(0),
        }))
    }

    /// Scripts the next workers, one after the other.
    pub fn next(&self, making: impl IntoIterator<Item = MakeBehaviour>) {
        self.script().once.extend(making);
    }

    /// Scripts all further workers, after those of [`FakeFactory::next`].
    pub fn always(&self, making: MakeBehaviour) {
        self.script().always = making;
    }

    /// Number of workers requested.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    /// Number of workers made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.0.made.load(SeqCst)
    }

    /// Number of workers in existence.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.0.alive.load(SeqCst)
    }

    /// Highest number of workers that existed at the same time.
    #[must_use]
    pub fn most_alive(&self) -> usize {
        self.0.most_alive.load(SeqCst)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeFactory {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeWorker {
    /// Number of the worker, in the order made, starting at 1.
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

impl Factory for FakeFactory {
    type Worker = FakeWorker;
    type Error = FakeError;

    async fn make(&self) -> Result<FakeWorker, FakeError> {
        self.0.asked.fetch_add(1, SeqCst);
        let making = {
            let mut script = self.script();
            script.once.pop_front().unwrap_or(script.always)
        };
        match making {
            MakeBehaviour::Prompt => {}
            MakeBehaviour::After(time) => tokio::time::sleep(time).await,
            MakeBehaviour::Fail => return Err(FakeError),
            #[expect(clippy::panic, reason = "a panic is what was asked for")]
            MakeBehaviour::Panic => panic!("the fake was told to panic"),
            MakeBehaviour::Hang => pending().await,
        }
        let number = self.0.made.fetch_add(1, SeqCst) + 1;
        let alive = self.0.alive.fetch_add(1, SeqCst) + 1;
        self.0.most_alive.fetch_max(alive, SeqCst);
        Ok(FakeWorker { number, inner: Arc::clone(&self.0) })
    }
}
