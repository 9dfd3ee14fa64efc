//! Tasks of HTTP/2 streams, which end if their client does not read for too long.
//!
//! With HTTP/1.1, the socket shows if a client does not read. With HTTP/2, the socket may flow while a client
//! blocks a single stream by giving it no window. The response would be kept forever, and with it one of the
//! service's request permits.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task_local;
use tokio::time::{Instant, sleep_until};

task_local! {
    /// Stream of the current task.
    static STREAM: Arc<StreamProgress>;
}

/// Progress of a stream: whether its client or its body is being waited for.
#[derive(Debug, Default)]
pub(crate) struct StreamProgress {
    /// Time at which the response last had data that the client has not read yet.
    offered: Mutex<Option<Instant>>,
    /// Separate from `offered`, so that the common case, in which nothing is offered, takes no lock.
    offering: AtomicBool,
}

impl StreamProgress {
    /// Progress of the current task's stream, starting when its response is offered; `None` over HTTP/1.1.
    pub(crate) fn of_this_stream() -> Option<Arc<Self>> {
        let progress = STREAM.try_with(Arc::clone).ok()?;
        progress.polled(true);
        Some(progress)
    }

    /// Records a poll of the body, which happens once the client has read everything before; `ready` if the body
    /// has more data now.
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

/// Runs streams as tasks with a timeout for their client.
#[derive(Debug, Clone)]
pub(crate) struct StreamExecutor {
    write_timeout: Duration,
}

impl StreamExecutor {
    pub(crate) fn new(write_timeout: Duration) -> Self {
        Self { write_timeout }
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let progress = Arc::new(StreamProgress::default());
        let bounded = with_write_timeout(stream, Arc::clone(&progress), self.write_timeout);
        tokio::spawn(STREAM.scope(progress, bounded));
    }
}

/// Polls a stream until it ends, or until its client has read nothing of its data for too long. Dropping the stream
/// resets it.
async fn with_write_timeout<F: Future>(
    stream: F,
    progress: Arc<StreamProgress>,
    write_timeout: Duration,
) {
    let mut stream = std::pin::pin!(stream);
    let mut timer = std::pin::pin!(None);
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let Some(end) = progress.offered().map(|since| since + write_timeout) else {
                return Poll::Pending;
            };
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            // Created at the first wait and never moved back: if it fires too early, it is set again.
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

    const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn stream_ends_if_the_client_stops_reading() {
        let (progress, start) = (Arc::new(StreamProgress::default()), Instant::now());
        progress.polled(true);
        with_write_timeout(pending::<()>(), progress, WRITE_TIMEOUT).await;
        assert_eq!(start.elapsed(), WRITE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_its_own_time() {
        let (progress, start) = (Arc::new(StreamProgress::default()), Instant::now());
        let recorded = Arc::clone(&progress);
        let stream = async move {
            for _ in 0..3 {
                recorded.polled(true);
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            pending::<()>().await;
        };
        with_write_timeout(stream, progress, WRITE_TIMEOUT).await;
        assert_eq!(start.elapsed(), Duration::from_secs(8) + WRITE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn stream_without_output_has_no_timeout() {
        let (progress, start) = (Arc::new(StreamProgress::default()), Instant::now());
        let recorded = Arc::clone(&progress);
        let stream = async move {
            recorded.polled(true);
            recorded.polled(false);
            tokio::time::sleep(WRITE_TIMEOUT * 100).await;
        };
        with_write_timeout(stream, progress, WRITE_TIMEOUT).await;
        assert_eq!(start.elapsed(), WRITE_TIMEOUT * 100);
    }
}
