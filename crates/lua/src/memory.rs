//! Memory of a state: its own limit, within its reservation of the shared budget.
//!
//! Lua's allocator has one limit and fails beyond it. While a script runs, that limit is the reservation of
//! the state. The reservation is larger than the memory in use, so that the script can allocate without
//! asking each time; it is smaller when less is left for others. Between runs a state reserves only what it
//! uses.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crisol_core::{Budget, Frame, OverBudget, Reservation, Value};
use mlua::Lua;

use crate::failure::Failure;

/// Granularity of an idle state's reservation, in bytes.
const STEP: u64 = 64 << 10;

/// Minimum number of bytes reserved ahead of use.
const AHEAD: u64 = 1 << 20;

/// Memory in use from which a state collects garbage, in bytes. Most calls end below it.
const COLLECT_FROM: usize = 512 << 10;

/// Divisor of the budget that is left: a state reserves that fraction ahead of use.
const PART: u64 = 8;

#[derive(Debug)]
pub(crate) struct MemoryAccount {
    /// Maximum number of bytes that the state may hold.
    allowed: u64,
    account: Mutex<Account>,
    /// Bytes that its calls hold outside of Lua, which the garbage collector does not count.
    outside: Budget,
    /// Bytes held outside of Lua from which a garbage collection is worthwhile.
    collect_from: AtomicU64,
    /// True once the garbage collector runs by itself.
    collects: AtomicBool,
}

#[derive(Debug)]
struct Account {
    held: Reservation,
    /// Current limit of the allocator, in bytes.
    granted: u64,
    /// Last reservation that failed.
    over: Option<OverBudget>,
    /// True if that failure ended the script.
    ended: bool,
}

impl MemoryAccount {
    pub(crate) fn new(allowed: u64, budget: &Budget) -> Self {
        let account = Account { held: budget.open(), granted: 0, over: None, ended: false };
        let (account, outside) = (Mutex::new(account), Budget::new(allowed));
        let (collect_from, collects) = (AtomicU64::new(allowed / 2), AtomicBool::new(false));
        Self { allowed, account, outside, collect_from, collects }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a state allocate `needed` bytes and some more. Fails if the budget has too little left; the
    /// script must end then.
    pub(crate) fn open(&self, lua: &Lua, needed: u64) -> mlua::Result<()> {
        self.start_collector(lua);
        let mut account = self.account();
        let used = lua.used_memory() as u64;
        let share = (account.held.budget().left() / PART).max(AHEAD);
        let wanted = used.saturating_add(share.max(needed)).min(self.allowed.max(used));
        let more = wanted.saturating_sub(account.held.bytes());
        if let Err(over) = account.held.grow(more) {
            account.over = Some(over);
            account.granted = account.held.bytes();
            return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
        }
        account.granted = account.held.bytes().min(self.allowed);
        // Zero would mean no limit.
        let limit = usize::try_from(account.granted).unwrap_or(usize::MAX).max(1);
        lua.set_memory_limit(limit).map(drop)
    }

    /// Starts the garbage collector of a state that has grown. Until then it would only mark what the state is made of.
    /// A state that reaches its limit earlier collects all the same.
    fn start_collector(&self, lua: &Lua) {
        if !self.collects.load(Ordering::Relaxed) && lua.used_memory() >= COLLECT_FROM {
            self.collects.store(true, Ordering::Relaxed);
            lua.gc_restart();
        }
    }

    /// Lets a running script allocate `size` bytes at once.
    pub(crate) fn make_room(&self, lua: &Lua, size: u64) -> mlua::Result<()> {
        if self.ahead(lua) >= size { Ok(()) } else { self.open(lua, size) }
    }

    /// Returns the number of bytes that the allocator may still give.
    fn ahead(&self, lua: &Lua) -> u64 {
        self.account().granted.saturating_sub(lua.used_memory() as u64)
    }

    /// Returns true if a running script has enough memory reserved ahead. The instruction hook calls it
    /// regularly.
    pub(crate) fn has_reserve(&self, lua: &Lua) -> bool {
        self.start_collector(lua);
        let has_all = self.account().granted >= self.allowed;
        if has_all || self.ahead(lua) >= AHEAD / 2 || self.open(lua, 0).is_ok() {
            return true;
        }
        self.account().ended = true;
        false
    }

    /// Counts bytes that a call holds outside of Lua, both for the state and in the shared budget.
    pub(crate) fn outside(
        &self,
        lua: &Lua,
        bytes: u64,
    ) -> mlua::Result<Result<[Reservation; 2], OverBudget>> {
        if self.outside.used().saturating_add(bytes) >= self.collect_from.load(Ordering::Relaxed) {
            lua.gc_collect()?;
            // Half of what is left, so that collections without effect stay rare.
            let used = self.outside.used();
            let from = used + self.allowed.saturating_sub(used) / 2;
            self.collect_from.store(from, Ordering::Relaxed);
        }
        let all = self.account().held.budget().clone();
        let both = self.outside.reserve(bytes).and_then(|one| Ok([one, all.reserve(bytes)?]));
        Ok(both)
    }

    /// Returns the maximum number of bytes that the state may hold.
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Releases the unused reservation of an idle state.
    pub(crate) fn close(&self, lua: &Lua) {
        let used = lua.used_memory() as u64;
        self.account().held.shrink_to(used.div_ceil(STEP).saturating_mul(STEP));
    }

    /// Returns the failure of a script that was ended for lack of memory.
    pub(crate) fn ended(&self) -> Option<Failure> {
        let account = self.account();
        account.over.filter(|_| account.ended).map(Failure::OverMemory)
    }

    /// Converts an uncaught error to a failure. An out-of-memory error below the state's own limit means that
    /// the shared budget has too little left.
    pub(crate) fn failure(&self, error: &mlua::Error, frames: Vec<Frame>) -> Failure {
        let failure = Failure::raised(error, frames, self.allowed);
        let account = self.account();
        let short = self.allowed.saturating_sub(account.granted);
        if short == 0 || !matches!(failure, Failure::Memory { .. }) {
            return failure;
        }
        let over = account.over.unwrap_or_else(|| account.held.budget().over(short));
        Failure::OverMemory(over)
    }
}

/// Estimates the bytes that values take in Lua.
pub(crate) fn size_in_lua(values: &[Value]) -> u64 {
    /// Bytes of a table slot, or of the head of a string.
    const SLOT: u64 = 40;
    let of = |value: &Value| match value {
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) => size_in_lua(items),
        Value::Map(pairs) => {
            let each = pairs.iter().map(|(key, value)| {
                size_in_lua(std::slice::from_ref(key)) + size_in_lua(std::slice::from_ref(value))
            });
            each.sum()
        }
        _ => 0,
    };
    values.iter().map(|value| SLOT + of(value)).sum()
}
