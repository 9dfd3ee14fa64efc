//! Runs a guest's future until a deadline and measures running and waiting time.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Running and waiting time of one stretch of guest work.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeSplit {
    /// Time inside `poll`: the guest's own code and host functions that return at once.
    pub(crate) running: Duration,
    /// Time between polls: timers, files, sockets, other functions.
    pub(crate) waiting: Duration,
}

/// Reason that a guest future was aborted.
#[derive(Debug)]
pub(crate) enum Aborted {
    /// The deadline passed while the future waited.
    Late,
    /// The future panicked with this message.
    Panicked(String),
}

/// Timer that produces a [`TimeSplit`], on tokio's clock, which a test can pause. Reading the clock costs as much
/// as the rest of a small call here, so each poll reads it once, and a query reads it again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PollTimer {
    /// Times of the polls; `None` for a future without deadline, whose times nobody asks for.
    polls: Option<Polls>,
    /// Time that host functions of others took inside polls.
    external: Duration,
    /// True after the first poll returned pending.
    has_waited: bool,
}

#[derive(Debug, Clone, Copy)]
struct Polls {
    started: Instant,
    /// Start of the last poll.
    entered: Instant,
    /// Time inside all earlier polls.
    running: Duration,
}

impl PollTimer {
    fn new(started: Option<Instant>) -> Self {
        let polls = |started| Polls { started, entered: started, running: Duration::ZERO };
        Self { polls: started.map(polls), external: Duration::ZERO, has_waited: false }
    }

    /// Begins a poll. The start time is also the start of the first one.
    fn enter(&mut self) {
        if let (true, Some(polls)) = (self.has_waited, &mut self.polls) {
            polls.entered = Instant::now();
        }
    }

    /// Ends a poll that returned pending.
    fn leave(&mut self) {
        self.has_waited = true;
        if let Some(polls) = &mut self.polls {
            polls.running += polls.entered.elapsed();
        }
    }

    /// The times of a future that has just completed in its last poll.
    pub(crate) fn times(&self) -> TimeSplit {
        let Some(Polls { started, entered, running }) = self.polls else {
            return TimeSplit::default();
        };
        let waiting = (entered - started).saturating_sub(running);
        self.split(running + entered.elapsed(), waiting)
    }

    /// Returns true if the future has waited, even if only for its next turn.
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Counts `external`, the time that host functions of others took inside the guest's polls, as waiting.
    pub(crate) fn without(self, external: Duration) -> Self {
        Self { external, ..self }
    }

    fn split(&self, running: Duration, waiting: Duration) -> TimeSplit {
        let external = self.external.min(running);
        TimeSplit { running: running - external, waiting: waiting + external }
    }

    /// The times of a future that still waits.
    fn so_far(&self) -> TimeSplit {
        let Some(Polls { started, running, .. }) = self.polls else { return TimeSplit::default() };
        self.split(running, started.elapsed().saturating_sub(running))
    }

    /// The times of a future that was aborted.
    pub(crate) fn aborted(&self, why: &Aborted) -> TimeSplit {
        match why {
            Aborted::Late => self.so_far(),
            Aborted::Panicked(_) => self.times(),
        }
    }
}

/// Runs `future` until `deadline` and measures its time, if there is a deadline.
///
/// This stops a guest that *waits*. A guest that *computes* does not return here; the epoch callback of its
/// store stops it. A timer is set only once the guest waits. A result that arrives late is passed on:
/// `instance::ended` decides about it.
///
/// Callers pin the future where they create it. By value, a future is copied at each level of nesting, with
/// everything inside it, which takes longer than a small call.
pub(crate) async fn until<F: Future>(
    deadline: Option<std::time::Instant>,
    future: F,
) -> (Result<F::Output, Aborted>, PollTimer) {
    run(deadline.map(|_| Instant::now()), deadline, future).await
}

/// Like [`until`], with a caller-supplied start time.
pub(crate) async fn until_since<F: Future>(
    started: Instant,
    deadline: Option<std::time::Instant>,
    future: F,
) -> (Result<F::Output, Aborted>, PollTimer) {
    run(Some(started), deadline, future).await
}

async fn run<F: Future>(
    started: Option<Instant>,
    deadline: Option<std::time::Instant>,
    future: F,
) -> (Result<F::Output, Aborted>, PollTimer) {
    let mut timer = PollTimer::new(started);
    let (mut future, mut alarm) = (pin!(future), None);
    let outcome = poll_fn(|cx| {
        timer.enter();
        if let Poll::Ready(outcome) = poll(future.as_mut(), cx) {
            return Poll::Ready(outcome);
        }
        timer.leave();
        let Some(deadline) = deadline else { return Poll::Pending };
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        alarm.as_mut().poll(cx).map(|()| Err(Aborted::Late))
    });
    (outcome.await, timer)
}

/// Returns true if a deadline has passed, by the same clock.
pub(crate) fn has_passed(deadline: std::time::Instant) -> bool {
    Instant::now().into_std() >= deadline
}

/// Awaits another function's future and reports the time of each poll: it lies inside the guest's polls, but
/// is not the guest's own.
pub(crate) async fn timed<F: Future>(other: F, mut took: impl FnMut(Duration)) -> F::Output {
    let mut other = pin!(other);
    poll_fn(|cx| {
        let began = Instant::now();
        let poll = other.as_mut().poll(cx);
        took(began.elapsed());
        poll
    })
    .await
}

/// Polls once and catches panics of host code, so that they do not reach the caller. Unwinding is safe because
/// the instance is not used again.
fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Aborted>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(Aborted::Panicked(message(&*panic)))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn in_ms(ms: u32) -> Option<std::time::Instant> {
        Some((Instant::now() + ms * MS).into_std())
    }

    /// Computes for `ms` milliseconds inside one poll.
    async fn compute(ms: u32) {
        tokio::time::advance(ms * MS).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_sleeps_is_stopped_and_was_waiting() {
        let (outcome, timer) = until(in_ms(50), std::future::pending::<()>()).await;
        let Err(why) = outcome else { unreachable!("a future without end") };
        assert!(matches!(why, Aborted::Late));
        let times = timer.aborted(&why);
        assert_eq!((times.running, times.waiting), (Duration::ZERO, 50 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_computes_past_its_deadline_was_running() {
        let endless = async {
            compute(60).await;
            std::future::pending::<()>().await;
        };
        let (outcome, timer) = until(in_ms(50), endless).await;
        let Err(why) = outcome else { unreachable!("a future without end") };
        let times = timer.aborted(&why);
        assert_eq!((times.running, times.waiting), (60 * MS, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_comes_through_also_when_it_is_late() {
        assert!(matches!(until(None, async { 7 }).await.0, Ok(7)));
        assert!(matches!(until(in_ms(0), async { 7 }).await.0, Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn guest_and_host_time_are_separate_over_polls() {
        let (outcome, timer) = until(in_ms(1_000), async {
            compute(5).await;
            tokio::time::sleep(20 * MS).await;
            compute(7).await;
        })
        .await;
        let times = timer.times();
        assert!(outcome.is_ok());
        assert_eq!((times.running, times.waiting), (12 * MS, 20 * MS));
        // Other functions took part of the guest's polls.
        let times = timer.without(4 * MS).times();
        assert_eq!((times.running, times.waiting), (8 * MS, 24 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn timed_counts_only_time_inside_polls() {
        let mut away = Duration::ZERO;
        let others = async {
            compute(3).await;
            tokio::time::sleep(20 * MS).await;
            compute(4).await;
        };
        timed(others, |took| away += took).await;
        assert_eq!(away, 7 * MS);
    }

    #[tokio::test]
    async fn a_future_is_polled_again_only_when_it_was_woken() {
        let mut polls = 0;
        let yields = tokio::task::yield_now();
        let mut yields = pin!(yields);
        let counted = poll_fn(|cx| {
            polls += 1;
            yields.as_mut().poll(cx)
        });
        let (outcome, _) = until(None, counted).await;
        assert!(outcome.is_ok());
        assert_eq!(polls, 2);
    }

    #[tokio::test]
    async fn panic_is_reported_and_contained() {
        let panics = async { std::panic::panic_any("oh") };
        let (outcome, _) = until(None, panics).await;
        assert!(matches!(outcome, Err(Aborted::Panicked(text)) if text == "oh"));
    }
}
