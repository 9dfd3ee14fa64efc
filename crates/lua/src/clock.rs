//! Clock of a state: a hook that counts instructions, and charges for work that instruction counts do not
//! show.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use crisol_core::Frame;
use mlua::{HookTriggers, Lua, Table, VmState};

use crate::call::Current;
use crate::failure::Failure;
use crate::memory::MemoryAccount;

/// Instructions between two clock checks in a state that holds little memory.
const MAX_INSTRUCTIONS: u32 = 128;
/// Instructions between two clock checks in a state that holds much memory.
const MIN_INSTRUCTIONS: u32 = 8;

/// Memory in bytes from which checks come more often: one instruction may compare, join or rehash all of it.
const SMALL_STATE: usize = 4 << 20;

/// Bytes and items that a state may touch between two clock checks.
const UNITS_PER_CHECK: usize = 256 << 10;

/// Time that a script computes before it yields to other tasks.
const TURN: Duration = Duration::from_millis(10);

/// Registry key of the table in which the prelude reads `expired` and `heavy`.
pub(crate) const PRELUDE_STATE: &str = "crisol.gate";

/// Reads the clock of tokio's timers, which a test can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Clock of one state.
#[derive(Debug)]
pub(crate) struct Clock {
    times: Mutex<Times>,
    expired: AtomicBool,
    /// True if the script yielded to let others run, not to wait.
    has_yielded: AtomicBool,
    /// Units charged since the last check.
    spent: AtomicUsize,
    /// Instructions between two checks.
    every: AtomicU32,
    /// Memory of the state, checked as often as its time.
    pub(crate) memory: MemoryAccount,
    /// Method being called, if there is one.
    method: Option<String>,
    /// Functions that ran where an uncaught error was raised.
    frames: Mutex<Vec<Frame>>,
    /// Waker of the current run, for operations that the script waits for.
    waker: Mutex<Waker>,
    /// Call that the state serves. It is not stored in Lua, which is locked while a script computes.
    current: Mutex<Option<Current>>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    deadline: Option<Instant>,
    turn: Instant,
}

impl Clock {
    pub(crate) fn new(memory: MemoryAccount, method: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            times: Mutex::new(Times { deadline: None, turn: now() }),
            expired: AtomicBool::new(false),
            has_yielded: AtomicBool::new(false),
            spent: AtomicUsize::new(0),
            every: AtomicU32::new(MAX_INSTRUCTIONS),
            memory,
            method,
            frames: Mutex::default(),
            waker: Mutex::new(Waker::noop().clone()),
            current: Mutex::new(None),
        })
    }

    /// Returns the clock of a state, for its modules.
    pub(crate) fn of(lua: &Lua) -> mlua::Result<Arc<Self>> {
        let clock = lua.app_data_ref::<Arc<Self>>().map(|clock| Arc::clone(&clock));
        clock.ok_or_else(|| mlua::Error::runtime("the state has no clock"))
    }

    /// Returns the method to call; `None` if the script itself is called.
    pub(crate) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    fn frames(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the functions that run where an uncaught error is raised.
    pub(crate) fn record_frames(&self, frames: Vec<Frame>) {
        *self.frames() = frames;
    }

    /// Converts an uncaught error to a failure.
    pub(crate) fn failure(&self, error: &mlua::Error) -> Failure {
        self.memory.failure(error, std::mem::take(&mut *self.frames()))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the call that the state serves, if it serves one.
    pub(crate) fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the waker of the current run.
    pub(crate) fn waker(&self) -> Waker {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a run that must end by `deadline`. `waker` wakes it when it can continue.
    pub(crate) fn begin(&self, deadline: Option<Instant>, current: Current, waker: Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
        *self.times() = Times { deadline, turn: now() };
        self.expired.store(false, Ordering::Relaxed);
        self.has_yielded.store(false, Ordering::Relaxed);
        *self.current() = Some(current);
    }

    /// Starts a turn of a run. Returns true if the run may continue.
    pub(crate) fn begin_turn(&self) -> bool {
        self.times().turn = now();
        !self.is_expired()
    }

    /// Ends a run. A script that still computes stops at its next check.
    pub(crate) fn end(&self, in_time: bool) {
        if !in_time {
            self.expired.store(true, Ordering::Relaxed);
        }
        drop(self.current().take());
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Returns true if the script yielded to let others run since the last query.
    pub(crate) fn has_yielded(&self) -> bool {
        self.has_yielded.swap(false, Ordering::Relaxed)
    }

    /// Returns true if the deadline has passed.
    fn is_over(&self, now: Instant) -> bool {
        if self.times().deadline.is_some_and(|deadline| now >= deadline) {
            self.expired.store(true, Ordering::Relaxed);
        }
        self.is_expired()
    }

    /// Charges units of work before they are done. Returns true if the deadline has passed.
    pub(crate) fn spend(&self, units: usize) -> bool {
        let spent = self.spent.fetch_add(units, Ordering::Relaxed).saturating_add(units);
        if spent < UNITS_PER_CHECK {
            return self.is_expired();
        }
        self.spent.store(0, Ordering::Relaxed);
        self.is_over(now())
    }

    /// Charges units of work of a host function. Fails if the script must end.
    pub(crate) fn charge(&self, lua: &Lua, units: usize) -> mlua::Result<()> {
        let spent = self.spent.load(Ordering::Relaxed).saturating_add(units);
        if spent >= UNITS_PER_CHECK {
            self.spent.store(0, Ordering::Relaxed);
            return if self.must_end(lua, now())? { Err(expired()) } else { Ok(()) };
        }
        self.spent.store(spent, Ordering::Relaxed);
        Ok(())
    }

    /// Returns true if the script must end, for lack of time or memory. Also tells the prelude.
    fn must_end(&self, lua: &Lua, now: Instant) -> mlua::Result<bool> {
        if !self.memory.has_reserve(lua) {
            self.expired.store(true, Ordering::Relaxed);
        }
        let over = self.is_over(now);
        if over {
            set_expired(lua)?;
        }
        Ok(over)
    }

    /// Sets the hook that interrupts scripts, on the running coroutine and on those that it creates.
    pub(crate) fn watch(self: &Arc<Self>, lua: &Lua) -> mlua::Result<()> {
        let clock = Arc::clone(self);
        let triggers =
            HookTriggers::new().every_nth_instruction(self.every.load(Ordering::Relaxed));
        lua.set_global_hook(triggers, move |lua, _| clock.hook(lua))
    }

    fn hook(self: &Arc<Self>, lua: &Lua) -> mlua::Result<VmState> {
        let (now, was_over) = (now(), self.is_expired());
        if self.must_end(lua, now)? {
            // A script that yields here is never resumed, so its `pcall` or `<close>` cannot run. A script
            // that cannot yield reaches this again and gets an error.
            return if was_over { Err(expired()) } else { Ok(VmState::Yield) };
        }
        if self.adjust_interval(lua)? {
            self.watch(lua)?;
        }
        Ok(if self.should_yield(now) { VmState::Yield } else { VmState::Continue })
    }

    /// Checks the clock at the prelude's request. Returns true if the script must yield now and `may_yield`
    /// is true: to let others run, or because it must end.
    pub(crate) fn check(self: &Arc<Self>, lua: &Lua, may_yield: bool) -> mlua::Result<bool> {
        let now = now();
        // Other coroutines may still have another interval.
        self.adjust_interval(lua)?;
        self.watch(lua)?;
        let must_end = self.must_end(lua, now)?;
        Ok(may_yield && (must_end || self.should_yield(now)))
    }

    /// Adjusts the interval of checks to the memory in use. Returns true if it changed.
    fn adjust_interval(&self, lua: &Lua) -> mlua::Result<bool> {
        let every = instructions_per_check(lua.used_memory());
        if self.every.swap(every, Ordering::Relaxed) == every {
            return Ok(false);
        }
        prelude_state(lua)?.raw_set("heavy", every < MAX_INSTRUCTIONS)?;
        Ok(true)
    }

    /// Returns true if the script has computed for a whole turn and must yield.
    fn should_yield(&self, now: Instant) -> bool {
        let mut times = self.times();
        if now.duration_since(times.turn) < TURN {
            return false;
        }
        times.turn = now;
        self.has_yielded.store(true, Ordering::Relaxed);
        true
    }
}

/// Checks that Lua may hold `size` more bytes.
pub(crate) fn check_room(lua: &Lua, size: usize) -> mlua::Result<()> {
    Clock::of(lua)?.memory.make_room(lua, size as u64)?;
    let limit = lua.set_memory_limit(0)?;
    lua.set_memory_limit(limit)?;
    if limit > 0 && lua.used_memory().saturating_add(size) > limit {
        return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
    }
    Ok(())
}

/// Returns the interval of checks for a memory size. It halves at powers of two, so that it rarely changes.
fn instructions_per_check(held: usize) -> u32 {
    let shift = (held / SMALL_STATE).checked_ilog2().map_or(0, |log| log + 1);
    MAX_INSTRUCTIONS.checked_shr(shift).unwrap_or(0).max(MIN_INSTRUCTIONS)
}

fn prelude_state(lua: &Lua) -> mlua::Result<Table> {
    lua.named_registry_value(PRELUDE_STATE)
}

/// Tells the prelude that errors must not be caught from now on.
pub(crate) fn set_expired(lua: &Lua) -> mlua::Result<()> {
    prelude_state(lua)?.raw_set("expired", true)
}

/// Message of an error that no script can catch.
pub(crate) const EXPIRED: &str = "the deadline passed";

pub(crate) fn expired() -> mlua::Error {
    mlua::Error::runtime(EXPIRED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_come_more_often_in_a_larger_state() {
        let pace = |mib: usize| instructions_per_check(mib << 20);
        assert_eq!([0, 3, 4, 8, 16, 32, 256, 4096].map(pace), [128, 128, 64, 32, 16, 8, 8, 8]);
    }
}
