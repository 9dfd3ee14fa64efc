//! Concurrency limits that change while they are in use.

use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::Semaphore;

/// Changes the total number of permits. A surplus permit that is held is removed when it is returned, before any
/// other task can acquire it.
pub(crate) fn resize(permits: &Arc<Semaphore>, from: usize, to: usize) {
    permits.add_permits(to.saturating_sub(from));
    let less = from.saturating_sub(to);
    let held = less - permits.forget_permits(less);
    if held > 0 {
        let mut forgetting = Box::pin(forget(Arc::clone(permits), held));
        // Enters the queue at once, so that no request gets a permit that is returned before the task runs.
        let _ = forgetting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        tokio::spawn(forgetting);
    }
}

/// Removes permits as they are returned.
async fn forget(permits: Arc<Semaphore>, mut held: usize) {
    while held > 0 {
        let some = u32::try_from(held).unwrap_or(u32::MAX);
        // Fails if the semaphore is closed; then there are no permits any more.
        let Ok(taken) = Arc::clone(&permits).acquire_many_owned(some).await else { return };
        taken.forget();
        held = held.saturating_sub(some as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[tokio::test(start_paused = true)]
    async fn permits_that_are_free_come_and_go_at_once() {
        let permits = Arc::new(Semaphore::new(3));
        resize(&permits, 3, 5);
        assert_eq!(permits.available_permits(), 5);
        resize(&permits, 5, 1);
        assert_eq!(permits.available_permits(), 1);
        resize(&permits, 1, 1);
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn permits_that_are_held_go_when_they_are_given_back() -> TestResult {
        let permits = Arc::new(Semaphore::new(3));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(permits.try_acquire()?);
        }
        resize(&permits, 3, 1);
        for _ in 0..2 {
            held.pop();
            assert!(permits.try_acquire().is_err(), "more at once than the limit");
        }
        held.pop();
        assert_eq!(permits.available_permits(), 1);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn raised_limit_settles_its_debt() -> TestResult {
        let permits = Arc::new(Semaphore::new(2));
        let held = (permits.try_acquire()?, permits.try_acquire()?);
        resize(&permits, 2, 1);
        resize(&permits, 1, 3);
        tokio::task::yield_now().await;
        assert_eq!(permits.available_permits(), 1);
        drop(held);
        assert_eq!(permits.available_permits(), 3);
        Ok(())
    }
}
