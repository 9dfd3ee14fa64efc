//! Shards: copies of an engine and of what is linked on it, each for a part of the program's threads.
//!
//! A fresh call counts some 25 references to its engine, its code and its resolved imports, up and down. On two cores at
//! once these counts cost more than the call, since their cache lines move from core to core. A thread that makes
//! many calls therefore gets a shard, and the counts of a shard are those of its threads. Slots are divided among the
//! shards; a call that finds its own shard full uses another.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crate::allocation::Allocation;

/// Maximum number of shards, so that engines of one program keep to the address space.
pub(crate) const MAX_SHARDS: usize = 16;
/// Slots that a shard has at least. An engine with fewer for each is not divided further.
const MIN_SLOTS: u32 = 64;
/// Calls of a thread on the first shard before it gets a shard of its own. A copy of the code is not worthwhile for fewer.
const CALLS_BEFORE_SHARD: u32 = 64;

/// Number of shards of an engine, at most `most`.
pub(crate) fn count(allocation: Allocation, most: usize) -> usize {
    let most = most.min(cores());
    let count = match allocation {
        Allocation::Pooling { instances } => {
            most.min(usize::try_from(instances / MIN_SLOTS).unwrap_or(most))
        }
        Allocation::OnDemand => most,
        Allocation::Unreserved => 1,
    };
    count.max(1)
}

/// Number of cores, as far as shards are concerned.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_SHARDS)
}

/// Threads by shard, of all engines.
static THREADS: Threads = Threads(Mutex::new([0; MAX_SHARDS]));

/// Number of threads of each shard.
struct Threads(Mutex<[u32; MAX_SHARDS]>);

impl Threads {
    /// Adds a thread to the shard with the fewest threads, among the first `shards`.
    fn join(&self, shards: usize) -> usize {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fewest = threads.iter_mut().take(shards).enumerate().min_by_key(|(_, count)| **count);
        fewest.map_or(0, |(shard, count)| {
            *count += 1;
            shard
        })
    }

    fn leave(&self, shard: usize) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = threads.get_mut(shard) {
            *count = count.saturating_sub(1);
        }
    }
}

thread_local! {
    static HOME: Home = const { Home { calls: Cell::new(0), shard: Cell::new(None) } };
}

/// The shard of a thread.
struct Home {
    /// Calls so far, until there is a shard.
    calls: Cell<u32>,
    shard: Cell<Option<usize>>,
}

impl Home {
    fn shard(&self) -> Option<usize> {
        if let Some(shard) = self.shard.get() {
            return Some(shard);
        }
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() >= CALLS_BEFORE_SHARD {
            self.shard.set(Some(THREADS.join(cores())));
        }
        self.shard.get()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(shard) = self.shard.get() {
            THREADS.leave(shard);
        }
    }
}

/// The shard of this thread among `shards`.
pub(crate) fn home(shards: usize) -> usize {
    // A thread that is ending has no shard any more.
    HOME.try_with(Home::shard).ok().flatten().unwrap_or(0) % shards.max(1)
}

/// A value of the first shard, and copies of it for the others, made when they are needed.
pub(crate) struct Sharded<T> {
    first: T,
    others: Box<[Copied<T>]>,
}

struct Copied<T> {
    /// `None` if it could not be made.
    value: OnceLock<Option<T>>,
    begun: AtomicBool,
}

impl<T> Sharded<T> {
    pub(crate) fn new(first: T, shards: usize) -> Self {
        let copied = || Copied { value: OnceLock::new(), begun: AtomicBool::new(false) };
        Self { first, others: (1..shards).map(|_| copied()).collect() }
    }

    pub(crate) fn first(&self) -> &T {
        &self.first
    }

    /// Number of shards.
    pub(crate) fn count(&self) -> usize {
        self.others.len() + 1
    }

    fn other(&self, shard: usize) -> Option<&Copied<T>> {
        self.others.get(shard.checked_sub(1)?)
    }

    /// Returns the value of a shard: `None` if it is not made yet, `Some(None)` if it could not be made.
    pub(crate) fn get(&self, shard: usize) -> Option<Option<&T>> {
        match self.other(shard) {
            Some(copied) => copied.value.get().map(Option::as_ref),
            None => Some((shard == 0).then_some(&self.first)),
        }
    }

    /// Returns the value of a shard, made by `make` on first use.
    pub(crate) fn get_or_make(&self, shard: usize, make: impl FnOnce() -> Option<T>) -> Option<&T> {
        match self.other(shard) {
            Some(copied) => copied.value.get_or_init(make).as_ref(),
            None => (shard == 0).then_some(&self.first),
        }
    }

    /// Returns true for the first caller, which begins to make the value of a shard.
    pub(crate) fn begin(&self, shard: usize) -> bool {
        self.other(shard).is_some_and(|copied| !copied.begun.swap(true, Relaxed))
    }
}

/// Slots of one shard, and how many of them live instances take.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    live: Arc<AtomicUsize>,
    capacity: usize,
}

/// Slots that one instance takes.
#[derive(Debug)]
pub(crate) struct TakenSlots {
    live: Arc<AtomicUsize>,
    count: usize,
}

impl Slots {
    /// Slots of an engine with this allocation.
    pub(crate) fn of(allocation: Allocation) -> Self {
        let capacity = match allocation {
            Allocation::Pooling { instances } => usize::try_from(instances).unwrap_or(usize::MAX),
            Allocation::OnDemand | Allocation::Unreserved => usize::MAX,
        };
        Self { live: Arc::default(), capacity }
    }

    /// Returns true if `count` slots are free. Another thread may take them first.
    pub(crate) fn have_free(&self, count: usize) -> bool {
        self.live.load(Relaxed).saturating_add(count) <= self.capacity
    }

    pub(crate) fn take(&self, count: usize) -> TakenSlots {
        self.live.fetch_add(count, Relaxed);
        TakenSlots { live: Arc::clone(&self.live), count }
    }
}

impl Drop for TakenSlots {
    fn drop(&mut self) {
        self.live.fetch_sub(self.count, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_join_the_shard_with_the_fewest() {
        let threads = Threads(Mutex::new([0; MAX_SHARDS]));
        assert_eq!([3, 3, 3, 3].map(|shards| threads.join(shards)), [0, 1, 2, 0]);
        threads.leave(1);
        assert_eq!([3, 3, 1].map(|shards| threads.join(shards)), [1, 1, 0]);
    }

    #[test]
    fn a_thread_joins_a_shard_after_some_calls() {
        let home = Home { calls: Cell::new(0), shard: Cell::new(None) };
        let joined = (1..=CALLS_BEFORE_SHARD).find(|_| home.shard().is_some());
        assert_eq!(joined, Some(CALLS_BEFORE_SHARD));
        assert_eq!(home.shard(), home.shard.get());
    }

    #[test]
    fn values_of_other_shards_are_made_once() {
        let sharded = Sharded::new("first", 3);
        assert_eq!((sharded.count(), sharded.get(0)), (3, Some(Some(&"first"))));
        assert_eq!((sharded.get(1), sharded.get(3)), (None, Some(None)));
        assert!(sharded.begin(1) && !sharded.begin(1) && !sharded.begin(0));
        assert_eq!(sharded.get_or_make(1, || Some("second")), Some(&"second"));
        assert_eq!(sharded.get_or_make(1, || None), Some(&"second"));
        assert_eq!(sharded.get_or_make(2, || None), None);
        assert_eq!(sharded.get(2), Some(None));
    }

    #[test]
    fn an_engine_with_few_slots_is_not_divided() {
        let plenty = Allocation::Pooling { instances: 100_000 };
        assert_eq!(count(Allocation::Pooling { instances: 100 }, MAX_SHARDS), 1);
        assert_eq!((count(plenty, MAX_SHARDS), count(plenty, 1)), (cores(), 1));
        assert_eq!(count(Allocation::Unreserved, MAX_SHARDS), 1);
        let slots = Slots::of(Allocation::Pooling { instances: 2 });
        let taken = slots.take(1);
        assert!(slots.have_free(1) && !slots.have_free(2));
        drop(taken);
        assert!(slots.have_free(2) && !slots.have_free(3));
    }
}
