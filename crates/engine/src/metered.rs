//! Runs a guest's future inside a deadline and tells where the time went.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Where the time of one stretch of guest work went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stretch {
    /// Inside `poll`: the guest's own code and host functions that answer at once.
    pub(crate) running: Duration,
    /// Between polls: timers, files, sockets, other functions.
    pub(crate) waiting: Duration,
}

/// Why a future came to no end of its own.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The deadline passed while it waited.
    Late,
    /// It panicked: this is what it said.
    Panicked(String),
}

/// Source of a [`Stretch`], on the clock of tokio's timers, which a test can pause. Reading the clock costs as
/// much as the rest of a small call does here, so it is read once for each poll, and the rest when somebody
/// asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    /// When the last poll began.
    entered: Instant,
    /// Time inside all polls before it.
    running: Duration,
    /// Time inside polls that others took.
    away: Duration,
    /// Whether there was more than one poll.
    has_waited: bool,
}

impl Clock {
    /// Where the time went, of a future that ended in its last poll just now.
    pub(crate) fn stretch(&self) -> Stretch {
        let waiting = (self.entered - self.started).saturating_sub(self.running);
        self.split(self.running + self.entered.elapsed(), waiting)
    }

    /// Whether the future has waited, be it for its next turn alone.
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// The same clock of a guest in whose polls others took time: for the guest that is waiting.
    pub(crate) fn without(self, away: Duration) -> Self {
        Self { away, ..self }
    }

    fn split(&self, running: Duration, waiting: Duration) -> Stretch {
        let away = self.away.min(running);
        Stretch { running: running - away, waiting: waiting + away }
    }

    /// The same of a future that still waits.
    fn so_far(&self) -> Stretch {
        let waiting = self.started.elapsed().saturating_sub(self.running);
        self.split(self.running, waiting)
    }

    /// Where the time went, of a future that was stopped.
    pub(crate) fn stopped(&self, why: &Stopped) -> Stretch {
        match why {
            Stopped::Late => self.so_far(),
            Stopped::Panicked(_) => self.stretch(),
        }
    }
}

/// Waits for `future` until `deadline`, and tells where the time went.
///
/// This stops a guest that *waits*. A guest that *computes* does not come back to be stopped here; the
/// epoch callback of its store does that. A timer is set only once the guest waits at all. One that comes back by itself
/// comes through, also when it is late: [`instance::ended`](crate::instance::ended) decides about that.
///
/// Callers pin the future where they make it. Handed over by value it is copied at every level of futures within
/// futures, as large as all below it: that took longer than a small call.
pub(crate) async fn until<F: Future>(
    deadline: Option<std::time::Instant>,
    future: F,
) -> (Result<F::Output, Stopped>, Clock) {
    until_since(Instant::now(), deadline, future).await
}

/// As [`until`], for who has read the clock already.
pub(crate) async fn until_since<F: Future>(
    started: Instant,
    deadline: Option<std::time::Instant>,
    future: F,
) -> (Result<F::Output, Stopped>, Clock) {
    let zero = Duration::ZERO;
    let mut clock =
        Clock { started, entered: started, running: zero, away: zero, has_waited: false };
    let (mut future, mut timer) = (pin!(future), None);
    let outcome = poll_fn(|cx| {
        // The first poll begins when the clock was read for the start.
        if clock.has_waited {
            clock.entered = Instant::now();
        }
        if let Poll::Ready(outcome) = poll(future.as_mut(), cx) {
            return Poll::Ready(outcome);
        }
        clock.has_waited = true;
        clock.running += clock.entered.elapsed();
        let Some(deadline) = deadline else { return Poll::Pending };
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        timer.as_mut().poll(cx).map(|()| Err(Stopped::Late))
    });
    (outcome.await, clock)
}

/// Tells whether a deadline has passed, by the same clock.
pub(crate) fn has_passed(deadline: std::time::Instant) -> bool {
    Instant::now().into_std() >= deadline
}

/// Waits for what somebody else does, and tells how long each of its polls took: time inside the guest's own
/// polls that is none of the guest's.
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

/// Polls once. A panic of the host's own code must not take the caller down: what it was in the middle of
/// is the instance, which is not used again.
fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Stopped>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(Stopped::Panicked(message(&*panic)))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn in_ms(ms: u32) -> Option<std::time::Instant> {
        Some((Instant::now() + ms * MS).into_std())
    }

    /// Takes so long inside one poll.
    async fn compute(ms: u32) {
        tokio::time::advance(ms * MS).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_sleeps_is_stopped_and_was_waiting() {
        let (outcome, clock) = until(in_ms(50), std::future::pending::<()>()).await;
        let Err(why) = outcome else { unreachable!("a future without end") };
        assert!(matches!(why, Stopped::Late));
        let stretch = clock.stopped(&why);
        assert_eq!((stretch.running, stretch.waiting), (Duration::ZERO, 50 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_computes_past_its_deadline_was_running() {
        let endless = async {
            compute(60).await;
            std::future::pending::<()>().await;
        };
        let (outcome, clock) = until(in_ms(50), endless).await;
        let Err(why) = outcome else { unreachable!("a future without end") };
        let stretch = clock.stopped(&why);
        assert_eq!((stretch.running, stretch.waiting), (60 * MS, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_comes_through_also_when_it_is_late() {
        assert!(matches!(until(None, async { 7 }).await.0, Ok(7)));
        assert!(matches!(until(in_ms(0), async { 7 }).await.0, Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_told_apart_over_several_polls() {
        let (outcome, clock) = until(None, async {
            compute(5).await;
            tokio::time::sleep(20 * MS).await;
            compute(7).await;
        })
        .await;
        let stretch = clock.stretch();
        assert!(outcome.is_ok());
        assert_eq!((stretch.running, stretch.waiting), (12 * MS, 20 * MS));
        // Of a guest in whose polls others took a part.
        let stretch = clock.without(4 * MS).stretch();
        assert_eq!((stretch.running, stretch.waiting), (8 * MS, 24 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_do_inside_its_polls_is_measured_for_itself() {
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
    async fn a_panic_is_told_and_goes_no_further() {
        let panics = async { std::panic::panic_any("oh") };
        let (outcome, _) = until(None, panics).await;
        assert!(matches!(outcome, Err(Stopped::Panicked(text)) if text == "oh"));
    }
}
