//! The clock of a state: a hook that counts instructions, and charges for work that no instruction count shows.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crisol_core::Frame;
use mlua::{HookTriggers, Lua, Table, VmState};

use crate::allowance::Allowance;
use crate::call::Current;
use crate::failure::Failure;

/// Instructions between two looks at the clock in a state that holds little.
const MOST_INSTRUCTIONS: u32 = 128;
/// The same in a state that holds much.
const LEAST_INSTRUCTIONS: u32 = 8;

/// Bytes held from which on looks come more often: one instruction may compare, join or rehash all of them.
const LIGHT: usize = 4 << 20;

/// Bytes and items that one state touches between two looks at the clock.
const UNITS_PER_LOOK: usize = 256 << 10;

/// Time that a script computes before it gives way to other tasks.
const TURN: Duration = Duration::from_millis(10);

/// Registry key of the table in which the prelude reads `expired` and `heavy`.
pub(crate) const GATE: &str = "crisol.gate";

/// Reads the clock of tokio's timers, which a test can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The clock of one state.
#[derive(Debug)]
pub(crate) struct Clock {
    times: Mutex<Times>,
    expired: AtomicBool,
    /// The script yielded to give way, not to wait.
    gave_way: AtomicBool,
    /// Units charged since the last look.
    spent: AtomicUsize,
    /// Instructions between two looks.
    every: AtomicU32,
    /// Its memory, which is looked at as often as its time.
    pub(crate) allowance: Allowance,
    /// The method that is called, where one is.
    method: Option<String>,
    /// Functions that ran where an error was raised that nobody caught.
    frames: Mutex<Vec<Frame>>,
    /// The call that the state serves. Not in Lua, which is locked while a script computes.
    current: Mutex<Option<Current>>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    deadline: Option<Instant>,
    turn: Instant,
}

impl Clock {
    pub(crate) fn new(allowance: Allowance, method: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            times: Mutex::new(Times { deadline: None, turn: now() }),
            expired: AtomicBool::new(false),
            gave_way: AtomicBool::new(false),
            spent: AtomicUsize::new(0),
            every: AtomicU32::new(MOST_INSTRUCTIONS),
            allowance,
            method,
            frames: Mutex::default(),
            current: Mutex::new(None),
        })
    }

    /// The clock of a state, for its modules.
    pub(crate) fn of(lua: &Lua) -> mlua::Result<Arc<Self>> {
        let clock = lua.app_data_ref::<Arc<Self>>().map(|clock| Arc::clone(&clock));
        clock.ok_or_else(|| mlua::Error::runtime("there is no clock"))
    }

    /// The method that is called of what the script returns; none where the script itself is called.
    pub(crate) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    fn frames(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the functions that run where an error is raised that nobody will catch.
    pub(crate) fn note(&self, frames: Vec<Frame>) {
        *self.frames() = frames;
    }

    /// Makes a failure of an error that nobody caught.
    pub(crate) fn failure(&self, error: &mlua::Error) -> Failure {
        self.allowance.failure(error, std::mem::take(&mut *self.frames()))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call that the state serves now, if it serves one.
    pub(crate) fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a run that must be over by `deadline`.
    pub(crate) fn begin(&self, deadline: Option<Instant>, current: Current) {
        *self.times() = Times { deadline, turn: now() };
        self.expired.store(false, Ordering::Relaxed);
        self.gave_way.store(false, Ordering::Relaxed);
        *self.current() = Some(current);
    }

    /// Begins a turn of a run; whether the run goes on.
    pub(crate) fn begin_turn(&self) -> bool {
        self.times().turn = now();
        !self.is_expired()
    }

    /// Ends a run, also where its script still computes: it is stopped at its next look.
    pub(crate) fn end(&self, in_time: bool) {
        if !in_time {
            self.expired.store(true, Ordering::Relaxed);
        }
        drop(self.current().take());
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Whether the script yielded to give way since this was last asked.
    pub(crate) fn gave_way(&self) -> bool {
        self.gave_way.swap(false, Ordering::Relaxed)
    }

    /// Whether time is up.
    fn is_over(&self, now: Instant) -> bool {
        if self.times().deadline.is_some_and(|deadline| now >= deadline) {
            self.expired.store(true, Ordering::Relaxed);
        }
        self.is_expired()
    }

    /// Charges units of work before they are done; whether time is up.
    pub(crate) fn spend(&self, units: usize) -> bool {
        let spent = self.spent.fetch_add(units, Ordering::Relaxed).saturating_add(units);
        if spent < UNITS_PER_LOOK {
            return self.is_expired();
        }
        self.spent.store(0, Ordering::Relaxed);
        self.is_over(now())
    }

    /// Charges units of work of a function of the host, and fails once the script is to end.
    pub(crate) fn charge(&self, lua: &Lua, units: usize) -> mlua::Result<()> {
        let spent = self.spent.load(Ordering::Relaxed).saturating_add(units);
        if spent >= UNITS_PER_LOOK {
            self.spent.store(0, Ordering::Relaxed);
            return if self.must_end(lua, now())? { Err(expired()) } else { Ok(()) };
        }
        self.spent.store(spent, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the script is to end, for its time or for want of memory; the prelude learns of it too.
    fn must_end(&self, lua: &Lua, now: Instant) -> mlua::Result<bool> {
        if !self.allowance.keeps_ahead(lua) {
            self.expired.store(true, Ordering::Relaxed);
        }
        let over = self.is_over(now);
        if over {
            tell_expired(lua)?;
        }
        Ok(over)
    }

    /// Sets the hook that interrupts scripts, on the coroutine that runs and those that it makes.
    pub(crate) fn watch(self: &Arc<Self>, lua: &Lua) -> mlua::Result<()> {
        let clock = Arc::clone(self);
        let triggers =
            HookTriggers::new().every_nth_instruction(self.every.load(Ordering::Relaxed));
        lua.set_global_hook(triggers, move |lua, _| clock.hook(lua))
    }

    fn hook(self: &Arc<Self>, lua: &Lua) -> mlua::Result<VmState> {
        let (now, was_over) = (now(), self.is_expired());
        if self.must_end(lua, now)? {
            // A script that yields now is never resumed, so no `pcall` or `<close>` of its has a say. Where
            // it cannot yield it comes by here again, and has to be thrown out.
            return if was_over { Err(expired()) } else { Ok(VmState::Yield) };
        }
        if self.keeps_pace(lua)? {
            self.watch(lua)?;
        }
        Ok(if self.gives_way(now) { VmState::Yield } else { VmState::Continue })
    }

    /// Looks at the clock where the prelude asks for it. Gives whether the script is to yield now, which it may: to
    /// give way, or because it is to end.
    pub(crate) fn look(self: &Arc<Self>, lua: &Lua, may_yield: bool) -> mlua::Result<bool> {
        let now = now();
        // A coroutine that was left may have another pace.
        self.keeps_pace(lua)?;
        self.watch(lua)?;
        let must_end = self.must_end(lua, now)?;
        Ok(may_yield && (must_end || self.gives_way(now)))
    }

    /// Adjusts how often the clock is looked at to what the state holds; whether that has changed.
    fn keeps_pace(&self, lua: &Lua) -> mlua::Result<bool> {
        let every = instructions_per_look(lua.used_memory());
        if self.every.swap(every, Ordering::Relaxed) == every {
            return Ok(false);
        }
        gate(lua)?.raw_set("heavy", every < MOST_INSTRUCTIONS)?;
        Ok(true)
    }

    /// Whether the script has computed for so long that others are to have a turn: it must yield then.
    fn gives_way(&self, now: Instant) -> bool {
        let mut times = self.times();
        if now.duration_since(times.turn) < TURN {
            return false;
        }
        times.turn = now;
        self.gave_way.store(true, Ordering::Relaxed);
        true
    }
}

/// Whether Lua may hold `size` bytes more.
pub(crate) fn fits(lua: &Lua, size: usize) -> mlua::Result<()> {
    Clock::of(lua)?.allowance.make_room(lua, size as u64)?;
    let limit = lua.set_memory_limit(0)?;
    lua.set_memory_limit(limit)?;
    if limit > 0 && lua.used_memory().saturating_add(size) > limit {
        return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
    }
    Ok(())
}

/// Powers of two, so that the pace does not change with every allocation.
fn instructions_per_look(held: usize) -> u32 {
    let shift = (held / LIGHT).checked_ilog2().map_or(0, |log| log + 1);
    MOST_INSTRUCTIONS.checked_shr(shift).unwrap_or(0).max(LEAST_INSTRUCTIONS)
}

fn gate(lua: &Lua) -> mlua::Result<Table> {
    lua.named_registry_value(GATE)
}

/// Has the prelude let nobody catch what comes.
pub(crate) fn tell_expired(lua: &Lua) -> mlua::Result<()> {
    gate(lua)?.raw_set("expired", true)
}

/// Message of an error that no script gets to handle.
pub(crate) const EXPIRED: &str = "the deadline passed";

pub(crate) fn expired() -> mlua::Error {
    mlua::Error::runtime(EXPIRED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_more_often_in_a_state_that_holds_more() {
        let pace = |mib: usize| instructions_per_look(mib << 20);
        assert_eq!([0, 3, 4, 8, 16, 32, 256, 4096].map(pace), [128, 128, 64, 32, 16, 8, 8, 8]);
    }
}
