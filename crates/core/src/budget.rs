//! Shared limit on bytes in use.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Shared limit on bytes in use. Clones share the limit and cost a reference count.
///
/// Bytes are reserved before they are allocated, and returned when their [`Reservation`] is dropped, so the sum
/// never exceeds the limit. There is no lock and no queue: a request beyond the limit fails at once.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Lane>);

/// References to an account, counted apart from those of other lanes.
#[derive(Debug)]
struct Lane(Arc<Account>);

struct Account {
    limit: u64,
    used: AtomicU64,
    /// Frees memory that is not needed now; returns whether it freed any.
    relief: OnceLock<Box<Relief>>,
}

type Relief = dyn Fn() -> bool + Send + Sync;

/// Bytes reserved from a [`Budget`], returned on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

/// Error for a request beyond the limit of a [`Budget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} bytes more were needed, with {used} of {limit} in use")]
pub struct OverBudget {
    /// Bytes requested.
    pub wanted: u64,
    /// Bytes in use at the time of the request.
    pub used: u64,
    /// The limit, in bytes.
    pub limit: u64,
}

impl Budget {
    /// Creates a budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let account = Account { limit, used: AtomicU64::new(0), relief: OnceLock::new() };
        Self(Arc::new(Lane(Arc::new(account))))
    }

    /// Returns the same budget with a reference count of its own, for threads that must not share one with others.
    #[must_use]
    pub fn lane(&self) -> Self {
        Self(Arc::new(Lane(Arc::clone(&self.0.0))))
    }

    /// Creates a budget without a limit; bytes are still counted.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Sets a function that frees memory when too few bytes are left. If it returns true, the request is tried once
    /// more. It runs inside the request, so it must not block or take a lock that a requester holds. Only the first
    /// function set is used.
    pub fn on_shortage(&self, relief: impl Fn() -> bool + Send + Sync + 'static) {
        // Later calls have no effect.
        let _ = self.0.0.relief.set(Box::new(relief));
    }

    /// The limit in bytes; `u64::MAX` if there is none.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.0.limit
    }

    /// Bytes in use now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.0.used.load(Relaxed)
    }

    /// Bytes available now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit().saturating_sub(self.used())
    }

    /// Reserves bytes.
    ///
    /// # Errors
    /// Fails if fewer bytes are available; nothing is reserved then.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, OverBudget> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// Creates an empty reservation, to be grown.
    #[must_use]
    pub fn open(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    /// The error for a failed request of `wanted` bytes.
    #[must_use]
    pub fn over(&self, wanted: u64) -> OverBudget {
        OverBudget { wanted, used: self.used(), limit: self.limit() }
    }

    #[cold]
    fn take_after_relief(&self, over: OverBudget) -> Result<(), OverBudget> {
        let relieved =
            over.wanted <= over.limit && self.0.0.relief.get().is_some_and(|relief| relief());
        if relieved { self.take(over.wanted) } else { Err(over) }
    }

    fn take(&self, bytes: u64) -> Result<(), OverBudget> {
        let limit = self.limit();
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = self.0.0.used.fetch_update(Relaxed, Relaxed, more);
        taken.map(drop).map_err(|used| OverBudget { wanted: bytes, used, limit })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("limit", &self.limit)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

impl Reservation {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The budget that the bytes belong to.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// Fails if fewer bytes are available; the reservation is unchanged then.
    pub fn grow(&mut self, bytes: u64) -> Result<(), OverBudget> {
        if bytes > 0 {
            self.budget.take(bytes).or_else(|over| self.budget.take_after_relief(over))?;
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Returns bytes to the budget until `bytes` are left. Does nothing if the reservation holds fewer.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        if surplus > 0 {
            self.bytes -= surplus;
            self.budget.0.0.used.fetch_sub(surplus, Relaxed);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Reserve(u64),
        Grow(usize, u64),
        Shrink(usize, u64),
        Drop(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Sizes around the test's limit, and sizes whose sum overflows.
        let bytes = || prop_oneof![0..1200u64, Just(u64::MAX), Just(u64::MAX - 500)];
        let step = prop_oneof![
            bytes().prop_map(Step::Reserve),
            (any::<usize>(), bytes()).prop_map(|(at, n)| Step::Grow(at, n)),
            (any::<usize>(), bytes()).prop_map(|(at, n)| Step::Shrink(at, n)),
            any::<usize>().prop_map(Step::Drop),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn usage_is_the_sum_of_reservations_and_within_the_limit(steps in steps()) {
            let budget = Budget::new(1000);
            let mut held: Vec<Reservation> = Vec::new();
            for step in steps {
                let before = budget.used();
                let at = |at: usize, held: &[Reservation]| at.checked_rem(held.len());
                match step {
                    Step::Reserve(bytes) => match budget.reserve(bytes) {
                        Ok(reservation) => held.push(reservation),
                        Err(over) => {
                            prop_assert!(u128::from(before) + u128::from(bytes) > 1000);
                            prop_assert_eq!(over, OverBudget { wanted: bytes, used: before, limit: 1000 });
                        }
                    },
                    Step::Grow(place, bytes) => if let Some(at) = at(place, &held) {
                        let fits = u128::from(before) + u128::from(bytes) <= 1000;
                        prop_assert_eq!(held[at].grow(bytes).is_ok(), fits);
                    },
                    Step::Shrink(place, bytes) => if let Some(at) = at(place, &held) {
                        held[at].shrink_to(bytes);
                    },
                    Step::Drop(place) => if let Some(at) = at(place, &held) {
                        drop(held.swap_remove(at));
                    },
                }
                prop_assert_eq!(budget.used(), held.iter().map(Reservation::bytes).sum::<u64>());
                prop_assert!(budget.used() <= 1000);
                prop_assert_eq!(budget.left(), 1000 - budget.used());
            }
            drop(held);
            prop_assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn many_threads_stay_within_the_limit_and_give_all_back() {
        let budget = Budget::new(100);
        std::thread::scope(|scope| {
            for size in [7, 11, 30, 64] {
                let budget = &budget;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        let mut held = budget.open();
                        let _ = held.grow(size);
                        assert!(budget.used() <= 100);
                        let _ = held.grow(1);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn unneeded_bytes_are_freed_before_a_request_fails() {
        let budget = Budget::new(10);
        let spare = std::sync::Mutex::new(vec![budget.reserve(4).unwrap()]);
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        budget.on_shortage(move || {
            count.fetch_add(1, Relaxed);
            spare.lock().unwrap().pop().is_some()
        });
        let first = budget.reserve(6);
        assert_eq!((first.is_ok(), asked.load(Relaxed)), (true, 0));
        let second = budget.reserve(3);
        assert_eq!((second.is_ok(), asked.load(Relaxed)), (true, 1));
        let full = Some(OverBudget { wanted: 2, used: 9, limit: 10 });
        assert_eq!((budget.reserve(2).err(), asked.load(Relaxed)), (full, 2));
        assert!(budget.reserve(11).is_err(), "more than all");
        assert_eq!(asked.load(Relaxed), 2, "nothing would help");
    }

    #[test]
    fn without_a_bound_everything_fits_and_is_counted() {
        let budget = Budget::unlimited();
        let held = budget.reserve(1 << 60);
        assert!(held.is_ok());
        assert_eq!(budget.used(), 1 << 60);
    }
}
