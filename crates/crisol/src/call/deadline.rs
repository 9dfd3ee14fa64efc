//! The deadline of a call: the earlier of the callee's own limit and the caller's deadline.

use std::time::{Duration, Instant};

use crisol_core::CallContext;

/// Returns the current time of tokio's clock, which a test can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The deadline of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallDeadline {
    /// Start of the call.
    pub(crate) began: Instant,
    /// The deadline itself; none for a call without a limit.
    pub(crate) at: Option<Instant>,
    /// The callee's own limit, when that set the deadline; none when the caller's did.
    pub(crate) limit: Option<Duration>,
}

impl CallDeadline {
    /// Computes the deadline of a call that starts now.
    pub(crate) fn of(limit: Option<Duration>, context: &CallContext) -> Self {
        let began = now();
        // A limit beyond the clock's range counts as no limit.
        let own = limit.and_then(|limit| began.checked_add(limit));
        let at = [own, context.deadline()].into_iter().flatten().min();
        Self { began, at, limit: limit.filter(|_| at == own) }
    }
}

#[cfg(test)]
mod tests {
    use crisol_core::Caller;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earlier_limit_sets_the_deadline() {
        let second = Duration::from_secs(1);
        let context = CallContext::new(Caller::Rust);
        let hurried = context.clone().with_deadline(now() + second);
        for (limit, context, at, own) in [
            (None, &context, None, None),
            (Some(second), &context, Some(second), Some(second)),
            (Some(Duration::MAX), &context, None, Some(Duration::MAX)),
            (None, &hurried, Some(second), None),
            (Some(second * 2), &hurried, Some(second), None),
            (Some(second / 2), &hurried, Some(second / 2), Some(second / 2)),
        ] {
            let deadline = CallDeadline::of(limit, context);
            assert_eq!(deadline.at, at.map(|at| now() + at), "{limit:?}");
            assert_eq!(deadline.limit, own, "{limit:?}");
        }
    }
}
