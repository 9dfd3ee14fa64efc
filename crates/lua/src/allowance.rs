//! What a state may allocate: its own limit, within what it has reserved of the memory of all.
//!
//! Lua's allocator knows one number, beyond which it fails. While a script runs, that number is what the state has
//! reserved: more than it uses, so that it may allocate without asking, and less the less is left for others. Between
//! two runs a state holds what it uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crisol_core::{Budget, Frame, OverBudget, Reservation, Value};
use mlua::Lua;

use crate::failure::Failure;

/// Bytes in which a state that does not run holds its memory.
const STEP: u64 = 64 << 10;

/// The least that a state gets ahead of what it uses.
const AHEAD: u64 = 1 << 20;

/// The part of what is left to all that a state gets ahead.
const PART: u64 = 8;

#[derive(Debug)]
pub(crate) struct Allowance {
    /// Bytes that the state may hold.
    allowed: u64,
    account: Mutex<Account>,
    /// Bytes that its calls hold outside of Lua, whose collector knows nothing of them.
    outside: Budget,
    /// Bytes held outside from which on it is worth looking for some that nobody refers to.
    collect_from: AtomicU64,
}

#[derive(Debug)]
struct Account {
    held: Reservation,
    /// Bytes that the allocator was last allowed.
    granted: u64,
    /// The last reservation that failed.
    over: Option<OverBudget>,
    /// Whether the script was ended for it.
    ended: bool,
}

impl Allowance {
    pub(crate) fn new(allowed: u64, budget: &Budget) -> Self {
        let account = Account { held: budget.open(), granted: 0, over: None, ended: false };
        let (account, outside) = (Mutex::new(account), Budget::new(allowed));
        Self { allowed, account, outside, collect_from: AtomicU64::new(allowed / 2) }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a state allocate `needed` bytes, and some more. Fails when they are not left for it, and then the script
    /// is to end.
    pub(crate) fn open(&self, lua: &Lua, needed: u64) -> mlua::Result<()> {
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
        // Zero would be no limit.
        let limit = usize::try_from(account.granted).unwrap_or(usize::MAX).max(1);
        lua.set_memory_limit(limit).map(drop)
    }

    /// Lets a script that runs allocate `size` bytes at once.
    pub(crate) fn make_room(&self, lua: &Lua, size: u64) -> mlua::Result<()> {
        if self.ahead(lua) >= size { Ok(()) } else { self.open(lua, size) }
    }

    /// Bytes that the allocator may still give.
    fn ahead(&self, lua: &Lua) -> u64 {
        self.account().granted.saturating_sub(lua.used_memory() as u64)
    }

    /// Whether a script that runs has enough ahead; asked every so many instructions.
    pub(crate) fn keeps_ahead(&self, lua: &Lua) -> bool {
        let has_all = self.account().granted >= self.allowed;
        if has_all || self.ahead(lua) >= AHEAD / 2 || self.open(lua, 0).is_ok() {
            return true;
        }
        self.account().ended = true;
        false
    }

    /// Counts bytes that a call holds outside of Lua, also among those of all instances and scripts.
    pub(crate) fn outside(
        &self,
        lua: &Lua,
        bytes: u64,
    ) -> mlua::Result<Result<[Reservation; 2], OverBudget>> {
        if self.outside.used().saturating_add(bytes) >= self.collect_from.load(Ordering::Relaxed) {
            lua.gc_collect()?;
            // Half of what is left, so that it is not looked for in vain each time.
            let used = self.outside.used();
            let from = used + self.allowed.saturating_sub(used) / 2;
            self.collect_from.store(from, Ordering::Relaxed);
        }
        let all = self.account().held.budget().clone();
        let both = self.outside.reserve(bytes).and_then(|one| Ok([one, all.reserve(bytes)?]));
        Ok(both)
    }

    /// Bytes that the state may hold.
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Gives back what a state that does not run needs not hold.
    pub(crate) fn close(&self, lua: &Lua) {
        let used = lua.used_memory() as u64;
        self.account().held.shrink_to(used.div_ceil(STEP).saturating_mul(STEP));
    }

    /// Reason that the script was ended, if that was for want of memory.
    pub(crate) fn ended(&self) -> Option<Failure> {
        let account = self.account();
        account.over.filter(|_| account.ended).map(Failure::OverMemory)
    }

    /// What an error that nobody caught means: for want of memory that the state's own limit allows, all states and
    /// instances together have too little left.
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

/// Bytes that values take in Lua, roughly.
pub(crate) fn weight(values: &[Value]) -> u64 {
    /// A table's slot, or the head of a string.
    const SLOT: u64 = 40;
    let of = |value: &Value| match value {
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) => weight(items),
        Value::Map(pairs) => {
            let each = pairs.iter().map(|(key, value)| {
                weight(std::slice::from_ref(key)) + weight(std::slice::from_ref(value))
            });
            each.sum()
        }
        _ => 0,
    };
    values.iter().map(|value| SLOT + of(value)).sum()
}
