//! The clock that interrupts guests: one thread that advances the epoch of engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use wasmtime::EngineWeak;

/// Capacity for engines that wait for the thread to register them.
const VARIANTS: usize = 4;

/// Thread that advances the epoch of its engines, as long as one of them lives.
///
/// The thread holds engines weakly, so it keeps none alive. It outlives this handle, since a store keeps its
/// engine alive, and only the epoch can stop a guest in such a store.
#[derive(Debug)]
pub(crate) struct Ticker {
    engines: SyncSender<EngineWeak>,
    ticks: Arc<AtomicU64>,
}

/// Count of ticks so far, a cheap check for passed time, at a fraction of the cost of reading the clock.
#[derive(Debug, Clone)]
pub(crate) struct Ticks(Arc<Shared>);

/// References of one shard to the count.
#[derive(Debug)]
struct Shared(Arc<AtomicU64>);

impl Ticks {
    pub(crate) fn count(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }
}

impl Ticker {
    pub(crate) fn start(tick: Duration) -> std::io::Result<Self> {
        let (engines, inbox) = sync_channel(VARIANTS);
        let clock = thread::Builder::new().name("crisol-epoch".to_owned());
        let ticks = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&ticks);
        clock.spawn(move || run(tick, &inbox, &counted))?;
        Ok(Self { engines, ticks })
    }

    /// Returns the count of ticks, with a reference count for one shard.
    pub(crate) fn ticks_of_shard(&self) -> Ticks {
        Ticks(Arc::new(Shared(Arc::clone(&self.ticks))))
    }

    pub(crate) fn watch(&self, engine: &wasmtime::Engine) {
        // Fails only when the thread is gone, and it waits for this sender.
        let _ = self.engines.send(engine.weak());
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own that does nothing else")]
fn pause(tick: Duration) {
    thread::sleep(tick);
}

fn run(tick: Duration, inbox: &Receiver<EngineWeak>, ticks: &AtomicU64) {
    let mut watched: Vec<EngineWeak> = Vec::new();
    loop {
        match inbox.recv_timeout(tick) {
            Ok(engine) => {
                watched.push(engine);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if watched.is_empty() => return,
            Err(RecvTimeoutError::Disconnected) => pause(tick),
        }
        ticks.fetch_add(1, Ordering::Relaxed);
        watched.retain(|weak| {
            let engine = weak.upgrade();
            if let Some(engine) = &engine {
                engine.increment_epoch();
            }
            engine.is_some()
        });
    }
}
