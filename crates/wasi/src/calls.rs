//! On whose behalf a guest runs: what the log says of its lines beside the function.

use crisol_core::CallId;
use tracing::field::{DisplayValue, display};

tokio::task_local! {
    static CALL: CallId;
}

/// Runs a guest's work as that of one call: what it writes to the log meanwhile has the field `call`.
///
/// An instance that is made ahead, and what a guest leaves running, belongs to no call.
pub async fn on_behalf_of<F: Future>(call: CallId, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// The call that runs now, as a field of an event.
pub(crate) fn call() -> Option<DisplayValue<CallId>> {
    CALL.try_with(|call| display(*call)).ok()
}
