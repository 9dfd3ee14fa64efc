//! Runs a guest's future inside a deadline and tells where the time went.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

/// Where the time of one stretch of guest work went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stretch {
    /// Inside `poll`: the guest's own code and host functions that answer at once.
    pub(crate) running: Duration,
    /// Between polls: timers, files, sockets, other functions.
    pub(crate) waiting: Duration,
}

/// Waits for `future` until `deadline`: its output, if it came in time, and where the time went.
///
/// This stops a guest that *waits*. A guest that *computes* does not come back to be stopped here; the
/// epoch callback of its store does that.
pub(crate) async fn until<F: Future>(
    deadline: Option<Instant>,
    future: F,
) -> (Option<F::Output>, Stretch) {
    let started = Instant::now();
    let mut running = Duration::ZERO;
    let counted = metered(future, &mut running);
    let outcome = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), counted).await.ok(),
        None => Some(counted.await),
    };
    let waiting = started.elapsed().saturating_sub(running);
    (outcome, Stretch { running, waiting })
}

async fn metered<F: Future>(future: F, running: &mut Duration) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let entered = Instant::now();
        let poll = future.as_mut().poll(cx);
        *running += entered.elapsed();
        poll
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_future_that_sleeps_is_stopped_and_was_waiting() {
        let deadline = tokio::time::Instant::now().into_std() + Duration::from_millis(50);
        let endless = std::future::pending::<()>();
        let (output, stretch) = until(Some(deadline), endless).await;
        assert!(output.is_none() && stretch.running < Duration::from_millis(50));
    }

    #[tokio::test]
    async fn a_result_comes_through() {
        assert_eq!(until(None, async { 7 }).await.0, Some(7));
        assert_eq!(until(Some(Instant::now()), async { 7 }).await.0, Some(7));
    }
}
