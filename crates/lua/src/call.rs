//! The call that a state serves, and the calls that it has begun.

use std::fmt;
use std::sync::Arc;

use crisol_core::{CallContext, Invoke};
use tokio::task::AbortHandle;

/// Calls that a script may have begun and not yet had answers of.
const MAX_CALLS: usize = 1024;

/// On whose behalf a state is called, and where the calls that it makes go.
#[derive(Clone)]
pub struct Call {
    /// Where its calls go.
    pub invoke: Arc<dyn Invoke>,
    /// The context of those calls.
    pub context: CallContext,
}

/// The call that a state serves now, for the modules to find.
#[derive(Default)]
pub(crate) struct Current {
    call: Option<Call>,
    begun: Vec<AbortHandle>,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("begun", &self.begun.len()).finish_non_exhaustive()
    }
}

impl Current {
    pub(crate) fn new(call: Call) -> Self {
        Self { call: Some(call), begun: Vec::new() }
    }

    /// The call, unless the script is only loaded.
    pub(crate) fn call(&self) -> Option<Call> {
        self.call.clone()
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

impl Drop for Current {
    /// What was begun and never awaited ends with the call.
    fn drop(&mut self) {
        for handle in &self.begun {
            handle.abort();
        }
    }
}
