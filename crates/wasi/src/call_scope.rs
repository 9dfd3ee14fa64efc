//! Call that a guest runs for, for the `call` field of its log lines.

use crisol_core::CallId;
use tracing::field::{DisplayValue, display};

tokio::task_local! {
    static CALL: CallId;
}

/// Runs a guest's work as part of one call: its log lines have the field `call`.
///
/// An instance made ahead, and work that outlives a call, belong to no call.
pub async fn with_call<F: Future>(call: CallId, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// Current call, as a field of an event.
pub(crate) fn call() -> Option<DisplayValue<CallId>> {
    CALL.try_with(|call| display(*call)).ok()
}
