//! Reasons that guest work ended without a result, classified by the error chain.

mod trap;

use std::time::{Duration, Instant};

use crisol_core::{BoxError, OverBudget, ResourceLimit, Trace};
use crisol_wit::OverOutput;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::denied::Denial;
use crate::limits::Meter;
use crate::poll_timer::{Aborted, PollTimer, TimeSplit, has_passed};

use trap::{is_recursive, trace};

/// Reason that guest work ended without a result. The instance cannot be used again after any of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The guest called an import that it was not granted.
    #[error(transparent)]
    Denied(Denial),
    /// The guest left through an exit call.
    #[error("the guest exited with code {0}")]
    Exited(i32),
    /// The deadline passed.
    #[error("the deadline passed after {running:?} in the guest and {waiting:?} in the host")]
    Deadline {
        /// Time in the guest's own code.
        running: Duration,
        /// Time the guest waited for the host.
        waiting: Duration,
    },
    /// The guest exceeded a limit other than time.
    #[error("the guest exceeded {0}")]
    Limit(ResourceLimit),
    /// The growth would exceed the memory that all instances and scripts may hold together.
    #[error("all instances together reached the engine's memory limit")]
    OverMemory(#[source] OverBudget),
    /// Every instance slot of the engine is taken.
    #[error("all instance slots of the engine are in use")]
    Exhausted(#[source] wasmtime::Error),
    /// The system has no memory, or no room in its tables, for another instance.
    #[error("the system refuses memory for another instance")]
    NoMemory(#[source] wasmtime::Error),
    /// The guest trapped, or violated the canonical ABI.
    #[error("the guest trapped")]
    Trap(#[source] Trace),
    /// A function of the embedding program failed, which is not the guest's fault.
    #[error("the host function `{function}` failed")]
    HostFunction {
        /// `interface#function`, as the guest imports it.
        function: String,
        /// The function's own error.
        source: BoxError,
    },
    /// A host function panicked: a bug in the host, not in the guest.
    #[error("a host function panicked: {0}")]
    Panicked(String),
    /// The instance cannot be used: it failed before, or wasmtime refuses it.
    #[error("the instance cannot be called")]
    Host(#[source] wasmtime::Error),
}

/// The error with which the epoch callback ends a guest.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed")]
pub(crate) struct DeadlinePassed;

/// Fails once the call's deadline has passed, for loops over values.
pub(crate) fn check(deadline: Instant) -> wasmtime::Result<()> {
    if has_passed(deadline) { Err(wasmtime::Error::new(DeadlinePassed)) } else { Ok(()) }
}

/// A host function that failed, on its way out of the guest.
#[derive(Debug, thiserror::Error)]
#[error("the host function `{function}` failed")]
pub(crate) struct HostFunctionFailed {
    pub(crate) function: String,
    pub(crate) source: BoxError,
}

impl Failure {
    /// The failure for guest work that was stopped.
    pub(crate) fn aborted(why: Aborted, timer: &PollTimer) -> Self {
        let times = timer.aborted(&why);
        match why {
            Aborted::Late => times.into(),
            Aborted::Panicked(message) => Self::Panicked(message),
        }
    }

    /// Classifies an error from making an instance.
    pub(crate) fn of_instantiation(
        error: wasmtime::Error,
        meter: &Meter,
        times: TimeSplit,
    ) -> Self {
        // Start functions are guest code, but the system's out-of-memory errors never reach a guest in this form.
        if error.chain().any(is_out_of_memory) {
            Self::NoMemory(error)
        } else {
            Self::new(error, meter, times)
        }
    }

    /// Classifies an error from a store.
    pub(crate) fn new(error: wasmtime::Error, meter: &Meter, times: TimeSplit) -> Self {
        if error.is::<DeadlinePassed>() {
            return times.into();
        }
        if let Some(over) = error.chain().find_map(|cause| cause.downcast_ref::<OverBudget>()) {
            return Self::OverMemory(*over);
        }
        if let Some(denial) = error.downcast_ref::<Denial>() {
            return Self::Denied(denial.clone());
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exited(exit.0);
        }
        if let Some(OverOutput { allowed }) = error.downcast_ref() {
            return Self::Limit(ResourceLimit::Output { allowed: *allowed });
        }
        let error = match error.downcast::<HostFunctionFailed>() {
            Ok(HostFunctionFailed { function, source }) => {
                return Self::HostFunction { function, source };
            }
            Err(error) => error,
        };
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Exhausted(error);
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                let allowed = meter.limits().max_fuel.unwrap_or(u64::MAX);
                return Self::Limit(ResourceLimit::Fuel { allowed });
            }
            // A full stack without recursion comes from frames that are too large, and stays a trap.
            Some(Trap::StackOverflow) if is_recursive(&trace(&error)) => {
                return Self::Limit(ResourceLimit::Stack);
            }
            // A guest that gives up after a refused growth is out of memory; one that divides by
            // zero is not. Instantiation that is refused memory fails without a trap.
            Some(Trap::UnreachableCodeReached) | None => {
                // The garbage collector of a guest's heap turns a refusal into an error of its own.
                if let Some(over) = meter.over() {
                    return Self::OverMemory(over);
                }
                if let Some(limit) = meter.refused() {
                    return Self::Limit(limit);
                }
            }
            Some(_) => {}
        }
        if is_transfer_limit(&error) {
            let allowed = meter.limits().max_output_bytes;
            return Self::Limit(ResourceLimit::Output { allowed });
        }
        // Every other error is the guest's fault even without a trap: a result that points outside its
        // memory, an unknown handle.
        Self::Trap(trace(&error))
    }
}

impl From<TimeSplit> for Failure {
    fn from(times: TimeSplit) -> Self {
        Self::Deadline { running: times.running, waiting: times.waiting }
    }
}

/// Returns true if the guest exited with code 0.
pub(crate) fn is_success(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<I32Exit>().is_some_and(|exit| exit.0 == 0)
}

fn is_out_of_memory(cause: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::{Error, ErrorKind};

    let is = |error: &Error| error.kind() == ErrorKind::OutOfMemory;
    // Wasmtime maps memory through rustix and passes on its errors.
    #[cfg(unix)]
    if let Some(errno) = cause.downcast_ref::<rustix::io::Errno>() {
        return is(&Error::from(*errno));
    }
    cause.downcast_ref::<Error>().is_some_and(is)
}

/// Recognizes a transfer that is too large. Wasmtime does not export the type of this error, so its text
/// identifies it; a test guards the text.
fn is_transfer_limit(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls"))
}
