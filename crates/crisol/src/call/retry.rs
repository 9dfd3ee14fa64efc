//! Retries: an interceptor that repeats failed calls within the function's own limit.

use std::time::Duration;

use async_trait::async_trait;
use crisol_core::{CallContext, CallError, EntryId, ErrorDetails, ErrorKind, Reply, Value};
use crisol_schema::{Retry, RetryOn};

use super::deadline::now;
use super::interceptor::{Interceptor, Next};

/// Interceptor for `meta.options.retry`: repeats failed calls of a function.
pub(crate) struct Retrying {
    pub(crate) retry: Retry,
    /// The function's time limit, for all attempts together.
    pub(crate) max_execution: Duration,
}

#[async_trait]
impl Interceptor for Retrying {
    async fn around(
        &self,
        _: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        let own = now().checked_add(self.max_execution);
        let is_own =
            own.is_some() && context.deadline().is_none_or(|deadline| Some(deadline) > own);
        let context = match own {
            Some(own) => context.with_deadline(own),
            None => context,
        };
        let mut longest = self.retry.initial_delay;
        let mut attempt = 1;
        loop {
            let outcome = next.run(context.clone(), args.clone()).await;
            let Err(error) = outcome else { return outcome };
            let delay = jittered(longest.min(self.retry.max_delay));
            let left = context.remaining(now());
            if attempt >= self.retry.max_attempts
                || !self.repeats(&error)
                || left.is_some_and(|left| left <= delay)
            {
                return Err(if is_own { self.limited(error) } else { error });
            }
            tokio::time::sleep(delay).await;
            longest = longest.saturating_mul(self.retry.backoff_factor);
            attempt += 1;
        }
    }
}

impl Retrying {
    fn repeats(&self, error: &CallError) -> bool {
        let on = match error.kind() {
            ErrorKind::Unavailable => RetryOn::Unavailable,
            ErrorKind::Interrupted => RetryOn::Interrupted,
            ErrorKind::Trap => RetryOn::Trap,
            ErrorKind::Function => RetryOn::Function,
            ErrorKind::Saturated if error.is_safe_to_repeat() => RetryOn::Saturated,
            _ => return false,
        };
        self.retry.on.contains(&on)
    }

    /// Names the entry's own limit in a deadline error, since that limit set the deadline of the attempts.
    fn limited(&self, mut error: CallError) -> CallError {
        if let ErrorDetails::Deadline { limit: limit @ None, .. } = error.details_mut() {
            *limit = Some(self.max_execution);
        }
        error
    }
}

/// Picks a random delay between half of `longest` and all of it, so that calls refused together do not retry together.
fn jittered(longest: Duration) -> Duration {
    let half = longest / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_nanos(fastrand::u64(0..nanos))
}
