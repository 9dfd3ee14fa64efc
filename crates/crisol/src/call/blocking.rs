//! Parsing of long text on tokio's blocking threads, within the deadline of its call.
//!
//! Ten megabytes of numbers take about a tenth of a second; on the caller's thread they would stall all other tasks.

use std::time::Duration;

use crisol_core::{CallError, EntryId};

use super::deadline::{CallDeadline, now};
use super::failure::{CallFailure, Cause};

/// Runs `read` on a blocking thread. At the deadline the call fails; a thread that has begun continues to the end of
/// its text.
pub(super) async fn run_blocking<T: Send + 'static>(
    id: &EntryId,
    deadline: CallDeadline,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CallError> {
    let mut reading = tokio::task::spawn_blocking(read);
    let read = match deadline.at {
        None => (&mut reading).await,
        Some(at) => match tokio::time::timeout_at(at.into(), &mut reading).await {
            Ok(read) => read,
            Err(_) => {
                reading.abort();
                let waiting = now().saturating_duration_since(deadline.began);
                let cause = Cause::Deadline { running: Duration::ZERO, waiting };
                return Err(CallFailure::new(id, deadline.limit).by_cause(cause));
            }
        },
    };
    // Parsing does not panic, so an error means that the tokio runtime is shutting down.
    read.map_err(|error| CallError::internal(id, error))
}
