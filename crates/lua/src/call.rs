//! Call that a state serves, and the calls that its script has started.

use std::fmt;
use std::sync::Arc;

use crisol_core::{CallContext, Invoke, OverBudget, Reservation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Maximum number of pending calls of a script.
const MAX_CALLS: usize = 1024;

/// Minimum size of the arguments of a large call, in bytes.
const LARGE: u64 = 64 << 10;

/// Maximum total size of the arguments of large calls that run at a time, in bytes. Arguments are copied and
/// freed on threads that serve others too.
const MAX_LARGE_BYTES: u32 = 4 << 20;

/// Call that a state serves: its context, and the target of the calls that the script makes.
#[derive(Clone)]
pub struct Call {
    /// Target of the script's calls.
    pub invoke: Arc<dyn Invoke>,
    /// Context of those calls.
    pub context: CallContext,
}

/// The call that a state currently serves, for the modules.
pub(crate) struct Current {
    call: Option<Call>,
    begun: Vec<AbortHandle>,
    large: Arc<Semaphore>,
}

/// Memory that a pending call holds outside of Lua: its arguments, later its outcome.
pub(crate) struct HeldMemory {
    large: Option<(Arc<Semaphore>, u32)>,
    /// Reservations for the state and in the shared budget.
    counted: [Reservation; 2],
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("begun", &self.begun.len()).finish_non_exhaustive()
    }
}

impl Current {
    /// Creates the value for a state that is only being loaded.
    pub(crate) fn none() -> Self {
        Self::of(None)
    }

    pub(crate) fn new(call: Call) -> Self {
        Self::of(Some(call))
    }

    fn of(call: Option<Call>) -> Self {
        let large = Arc::new(Semaphore::new(MAX_LARGE_BYTES as usize));
        Self { call, begun: Vec::new(), large }
    }

    /// Returns the call; `None` while the script is loaded.
    pub(crate) fn call(&self) -> Option<Call> {
        self.call.clone()
    }

    /// Creates the record of the memory of a call with counted arguments.
    pub(crate) fn held_memory(&self, bytes: u64, counted: [Reservation; 2]) -> HeldMemory {
        let permits = u32::try_from(bytes).unwrap_or(MAX_LARGE_BYTES).min(MAX_LARGE_BYTES);
        HeldMemory { large: (bytes >= LARGE).then(|| (Arc::clone(&self.large), permits)), counted }
    }

    /// Starts a call, unless the maximum is reached. Returns true if it was started.
    pub(crate) fn begin(&mut self, spawn: impl FnOnce() -> AbortHandle) -> bool {
        self.begun.retain(|handle| !handle.is_finished());
        let may = self.begun.len() < MAX_CALLS;
        if may {
            self.begun.push(spawn());
        }
        may
    }
}

impl HeldMemory {
    /// Waits until the call may run: large calls run a few at a time.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let (large, permits) = self.large.as_ref()?;
        Arc::clone(large).acquire_many_owned(*permits).await.ok()
    }

    /// Counts an outcome of `bytes` bytes in place of the arguments.
    pub(crate) fn replace_by_result(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.counted.iter_mut().try_for_each(|counted| {
            counted.shrink_to(bytes);
            counted.grow(bytes.saturating_sub(counted.bytes()))
        })
    }

    /// Returns true if the arguments are large.
    pub(crate) fn is_large(&self) -> bool {
        self.large.is_some()
    }
}

impl Drop for Current {
    /// Aborts the calls that were started and are still pending.
    fn drop(&mut self) {
        for handle in &self.begun {
            handle.abort();
        }
    }
}
