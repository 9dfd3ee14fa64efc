//! Reading long text aside: on a thread that may block, within the deadline of its call.
//!
//! Ten megabytes of numbers take a tenth of a second, for which nothing else would run on the caller's thread.

use std::time::Duration;

use crisol_core::{CallError, EntryId};

use super::deadline::{CallDeadline, now};
use super::failure::{CallFailure, Cause};

/// Reads something aside. At the deadline the call is over, and the thread ends with the text that it has begun.
pub(super) async fn aside<T: Send + 'static>(
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
    // Reading does not panic, and nobody aborts it but a runtime that shuts down.
    read.map_err(|error| CallError::Internal { id: id.clone(), source: error.into() })
}
