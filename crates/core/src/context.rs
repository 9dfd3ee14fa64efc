//! Context of a call: its deadline, its ancestors and its caller.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::EntryId;

/// Maximum number of functions above a call in its chain.
pub const MAX_DEPTH: usize = 64;

/// Identifies one call in logs, errors and responses; unique within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    /// Returns the next id of this thread. Threads take ids in blocks: one counter for all calls would move from core to
    /// core.
    fn next() -> Self {
        const BLOCK: u64 = 1024;
        static NEXT: AtomicU64 = AtomicU64::new(1);
        thread_local! {
            static IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
        }
        let (next, end) = IDS.get();
        if next < end {
            IDS.set((next + 1, end));
            return Self(next);
        }
        let first = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
        IDS.set((first + 1, first + BLOCK));
        Self(first)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Edge by which a call entered the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Caller {
    /// A Rust program that embeds the runtime.
    Rust,
    /// A command line.
    Command,
    /// An HTTP request.
    Http,
    /// A Lua script or `function.lua`.
    Lua,
    /// Another guest, through the import `funcs`.
    Guest,
}

/// Chain of functions that wait for a call, nearest first. Empty for a call from outside.
#[derive(Debug, Clone, Default)]
pub struct Chain(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    id: EntryId,
    depth: usize,
    parent: Chain,
}

impl Chain {
    /// Chain of a call that the function `id` makes.
    #[must_use]
    pub fn with(&self, id: EntryId) -> Self {
        Self(Some(Arc::new(Link { id, depth: self.depth() + 1, parent: self.clone() })))
    }

    /// Number of waiting functions.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.as_ref().map_or(0, |link| link.depth)
    }

    /// The waiting functions, nearest caller first.
    pub fn iter(&self) -> impl Iterator<Item = &EntryId> {
        std::iter::successors(self.0.as_deref(), |link| link.parent.0.as_deref())
            .map(|link| &link.id)
    }
}

/// Context of a call: id, caller, deadline and chain. Cheap to create and to clone.
#[derive(Debug, Clone)]
pub struct CallContext {
    id: CallId,
    caller: Caller,
    deadline: Option<Instant>,
    chain: Chain,
}

impl CallContext {
    /// Context of a call from outside, without deadline or ancestors.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self { id: CallId::next(), caller, deadline: None, chain: Chain::default() }
    }

    /// Limits the call to `deadline`. An earlier deadline stays in force: of two deadlines, the earlier counts.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |old| old.min(deadline)));
        self
    }

    /// Context of a call that the function `id` makes while it serves this one, with the same call id and deadline.
    #[must_use]
    pub fn nested(&self, id: EntryId) -> Self {
        Self { caller: Caller::Guest, chain: self.chain.with(id), ..self.clone() }
    }

    /// [`CallContext::nested`], further limited by `deadline`, the function's own deadline for this call.
    #[must_use]
    pub fn within(&self, id: &EntryId, deadline: Option<Instant>) -> Self {
        let nested = self.nested(id.clone());
        match deadline {
            Some(deadline) => nested.with_deadline(deadline),
            None => nested,
        }
    }

    /// The same context with another edge as its caller.
    #[must_use]
    pub fn by(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Id of the outermost call.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Edge by which the call entered the runtime.
    #[must_use]
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// Deadline of the call, if it has one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time left at `now`: `None` without a deadline, zero after it.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Chain of functions that wait for this call.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant works, and there is no runtime")]
mod tests {
    use super::*;

    #[test]
    fn of_two_deadlines_the_earlier_counts() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        let cx = CallContext::new(Caller::Rust).with_deadline(soon).with_deadline(late);
        assert_eq!(cx.deadline(), Some(soon));
        assert_eq!(cx.remaining(late), Some(Duration::ZERO));
    }

    #[test]
    fn a_nested_call_keeps_id_and_deadline_and_knows_its_ancestors()
    -> Result<(), crate::EntryIdError> {
        let outer = CallContext::new(Caller::Http).with_deadline(Instant::now());
        let inner = outer.nested("a:one".parse()?).nested("a:two".parse()?);
        assert_eq!((inner.id(), inner.deadline()), (outer.id(), outer.deadline()));
        let chain: Vec<_> = inner.chain().iter().map(EntryId::as_str).collect();
        assert_eq!((chain, inner.chain().depth()), (vec!["a:two", "a:one"], 2));
        Ok(())
    }
}
