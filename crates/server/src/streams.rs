//! The streams of HTTP/2 connections as tasks, ended when their client takes nothing for too long.
//!
//! A socket tells when a client of HTTP/1.1 does not read. Over HTTP/2 the socket may flow and a single
//! stream be blocked, by a client that gives it no window; its response would be held for ever, and with
//! it one of the requests that the service takes at once.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task_local;
use tokio::time::{Instant, sleep_until};

task_local! {
    /// The stream whose task this is.
    static STREAM: Arc<Progress>;
}

/// Who is waiting for whom on one stream.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// When the response last had something that the client has not taken yet.
    offered: Mutex<Option<Instant>>,
    /// Told apart from `offered` so that the common case, nothing offered, takes no lock.
    offering: AtomicBool,
}

impl Progress {
    /// Of the stream that the present task serves, at the moment when its response is offered; `None`
    /// over HTTP/1.1.
    pub(crate) fn of_this_stream() -> Option<Arc<Self>> {
        let progress = STREAM.try_with(Arc::clone).ok()?;
        progress.polled(true);
        Some(progress)
    }

    /// The body has been asked for more, which happens when the client has taken what there was: it has
    /// more now, or has not yet.
    pub(crate) fn polled(&self, ready: bool) {
        let since = ready.then(Instant::now);
        *self.offered.lock().unwrap_or_else(PoisonError::into_inner) = since;
        self.offering.store(ready, Ordering::Relaxed);
    }

    fn offered(&self) -> Option<Instant> {
        if !self.offering.load(Ordering::Relaxed) {
            return None;
        }
        *self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs streams as tasks, each with so much patience for its client.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    patience: Duration,
}

impl Streams {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let progress = Arc::new(Progress::default());
        let patient = patiently(stream, Arc::clone(&progress), self.patience);
        tokio::spawn(STREAM.scope(progress, patient));
    }
}

/// Polls a stream until it is over or its client has taken nothing of what it offers for too long.
/// Dropping it resets it.
async fn patiently<F: Future>(stream: F, progress: Arc<Progress>, patience: Duration) {
    let mut stream = std::pin::pin!(stream);
    let mut timer = std::pin::pin!(None);
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let Some(end) = progress.offered().map(|since| since + patience) else {
                return Poll::Pending;
            };
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            // Made at the first wait and never moved back: when it fires too early it is set anew.
            if timer.is_none() {
                timer.set(Some(sleep_until(end)));
            }
            match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
                Some(Poll::Ready(())) => timer.set(None),
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_what_it_offers_is_not_taken() {
        let (progress, start) = (Arc::new(Progress::default()), Instant::now());
        progress.polled(true);
        patiently(pending::<()>(), progress, PATIENCE).await;
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_its_own_time() {
        let (progress, start) = (Arc::new(Progress::default()), Instant::now());
        let told = Arc::clone(&progress);
        let stream = async move {
            for _ in 0..3 {
                told.polled(true);
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            pending::<()>().await;
        };
        patiently(stream, progress, PATIENCE).await;
        assert_eq!(start.elapsed(), Duration::from_secs(8) + PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_offer_has_all_the_time() {
        let (progress, start) = (Arc::new(Progress::default()), Instant::now());
        let told = Arc::clone(&progress);
        let stream = async move {
            told.polled(true);
            told.polled(false);
            tokio::time::sleep(PATIENCE * 100).await;
        };
        patiently(stream, progress, PATIENCE).await;
        assert_eq!(start.elapsed(), PATIENCE * 100);
    }
}
