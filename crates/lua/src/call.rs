//! The call that a state serves, and the calls that it has begun.

use std::fmt;
use std::sync::Arc;

use crisol_core::{CallContext, Invoke, OverBudget, Reservation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Calls that a script may have begun and not yet had answers of.
const MAX_CALLS: usize = 1024;

/// Bytes of arguments from which on a call is a large one.
const LARGE: u64 = 64 << 10;

/// Bytes of arguments of large calls that are made at a time. Each is copied and freed on threads that serve others too.
const MADE_AT_A_TIME: u32 = 4 << 20;

/// On whose behalf a state is called, and where the calls that it makes go.
#[derive(Clone)]
pub struct Call {
    /// Where its calls go.
    pub invoke: Arc<dyn Invoke>,
    /// The context of those calls.
    pub context: CallContext,
}

/// The call that a state serves now, for the modules to find.
pub(crate) struct Current {
    call: Option<Call>,
    begun: Vec<AbortHandle>,
    large: Arc<Semaphore>,
}

/// Bytes that a call which has begun holds outside of Lua: its arguments, then its outcome.
pub(crate) struct Burden {
    large: Option<(Arc<Semaphore>, u32)>,
    /// Among those of the state, and those of all instances and scripts.
    counted: [Reservation; 2],
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("begun", &self.begun.len()).finish_non_exhaustive()
    }
}

impl Current {
    /// A state that is only loaded.
    pub(crate) fn none() -> Self {
        Self::of(None)
    }

    pub(crate) fn new(call: Call) -> Self {
        Self::of(Some(call))
    }

    fn of(call: Option<Call>) -> Self {
        let large = Arc::new(Semaphore::new(MADE_AT_A_TIME as usize));
        Self { call, begun: Vec::new(), large }
    }

    /// The call, unless the script is only loaded.
    pub(crate) fn call(&self) -> Option<Call> {
        self.call.clone()
    }

    /// The burden of a call whose arguments are counted.
    pub(crate) fn burden(&self, bytes: u64, counted: [Reservation; 2]) -> Burden {
        let permits = u32::try_from(bytes).unwrap_or(MADE_AT_A_TIME).min(MADE_AT_A_TIME);
        Burden { large: (bytes >= LARGE).then(|| (Arc::clone(&self.large), permits)), counted }
    }

    /// Begins a call, if there may be one more.
    pub(crate) fn begin(&mut self, spawn: impl FnOnce() -> AbortHandle) -> bool {
        self.begun.retain(|handle| !handle.is_finished());
        let may = self.begun.len() < MAX_CALLS;
        if may {
            self.begun.push(spawn());
        }
        may
    }
}

impl Burden {
    /// Waits until the call may be made: large ones are made a few at a time.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let (large, permits) = self.large.as_ref()?;
        Arc::clone(large).acquire_many_owned(*permits).await.ok()
    }

    /// Counts an outcome of so many bytes in place of the arguments.
    pub(crate) fn become_outcome(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.counted.iter_mut().try_for_each(|counted| {
            counted.shrink_to(bytes);
            counted.grow(bytes.saturating_sub(counted.bytes()))
        })
    }

    /// Whether the arguments are large.
    pub(crate) fn is_large(&self) -> bool {
        self.large.is_some()
    }
}

impl Drop for Current {
    /// What was begun and never awaited ends with the call.
    fn drop(&mut self) {
        for handle in &self.begun {
            handle.abort();
        }
    }
}
