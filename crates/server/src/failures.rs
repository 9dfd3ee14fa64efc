//! Log of failures, rate-limited for each function and cause.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crisol_core::{
    CallError, CallId, EntryId, ErrorDetails, ErrorKind, LogRate, LogVerdict, chain,
};
use crisol_transport::Cause;
use http::StatusCode;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, warn};

/// Maximum of logged failures per second, for each function and cause.
const MOST: u32 = 10;

/// Log of failed requests, over all services of a server. Clones share it and cost a reference count.
///
/// The first failures of a function and cause in a second are logged in full; the number of further ones is logged
/// at the end of that second. Only the causes of the last second are kept in memory.
#[derive(Clone, Default)]
pub struct FailureLog(Arc<Mutex<State>>);

impl fmt::Debug for FailureLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailureLog(..)")
    }
}

#[derive(Default)]
struct State {
    rates: HashMap<Key, LogRate>,
    /// True while a task waits for the end of a second.
    is_watched: bool,
}

/// Failures that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// `None` for a failure without a function.
    function: Option<EntryId>,
    cause: &'static str,
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Severity {
    Error,
    /// Overload or a stop, without a fault of the function.
    Warning,
}

impl FailureLog {
    /// Logs a failed call with its sources, under the span of its request. `status` is the response's.
    ///
    /// The severity of a function's own error follows the status that it chose: a 404 is a normal response.
    pub fn failed(
        &self,
        function: &EntryId,
        call: CallId,
        failure: &CallError,
        status: StatusCode,
    ) {
        let reported = match failure.kind() {
            ErrorKind::Function => status,
            kind => Cause::from(kind).status(),
        };
        if !reported.is_server_error() {
            debug!(%function, %call, error = chain(failure), "the call was refused");
            return;
        }
        let (cause, severity) = cause(failure);
        if !self.admits_as(Some(function), cause, severity) {
            return;
        }
        let error = chain(failure);
        match severity {
            Severity::Error => error!(%function, %call, error, "the call failed"),
            Severity::Warning if failure.kind() == ErrorKind::Interrupted => {
                warn!(%function, %call, error, "the call was interrupted");
            }
            Severity::Warning => warn!(%function, %call, error, "the call was refused"),
        }
    }

    /// Counts a failure that the caller logs itself, and returns whether to log it.
    #[must_use]
    pub fn admits(&self, function: Option<&EntryId>, cause: &'static str) -> bool {
        self.admits_as(function, cause, Severity::Error)
    }

    fn admits_as(
        &self,
        function: Option<&EntryId>,
        cause: &'static str,
        severity: Severity,
    ) -> bool {
        let key = Key { function: function.cloned(), cause, severity };
        let verdict = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !state.is_watched
                && let Ok(runtime) = Handle::try_current()
            {
                state.is_watched = true;
                drop(runtime.spawn(watch(Arc::downgrade(&self.0))));
            }
            let rate = state.rates.entry(key.clone()).or_insert(LogRate::new(MOST));
            rate.judge(Instant::now().into_std())
        };
        if let LogVerdict::Log { left_out } = verdict {
            key.report(left_out);
        }
        verdict != LogVerdict::LeaveOut
    }
}

/// Cause of a failure, by which failures are counted, and its severity.
fn cause(failure: &CallError) -> (&'static str, Severity) {
    match (failure.kind(), failure.details()) {
        // The call never ran, because its pool was busy until the deadline.
        (_, ErrorDetails::Deadline { spent, .. })
            if spent.guest.is_zero() && spent.host.is_zero() =>
        {
            ("busy", Severity::Warning)
        }
        (kind @ (ErrorKind::Saturated | ErrorKind::Unavailable | ErrorKind::Interrupted), _) => {
            (kind.name(), Severity::Warning)
        }
        (kind, _) => (kind.name(), Severity::Error),
    }
}

/// Reports the omitted failures at the end of each second, until there are none.
async fn watch(state: Weak<Mutex<State>>) {
    loop {
        sleep(LogRate::WINDOW).await;
        let Some(state) = state.upgrade() else { return };
        let (over, is_last) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let over = state.over(Instant::now().into_std());
            state.is_watched = !state.rates.is_empty();
            (over, !state.is_watched)
        };
        over.into_iter().for_each(|(key, left_out)| key.report(left_out));
        if is_last {
            return;
        }
    }
}

impl State {
    /// Removes the failures whose second has ended.
    fn over(&mut self, now: std::time::Instant) -> Vec<(Key, u64)> {
        let over = self.rates.extract_if(|_, rate| rate.is_over(now));
        over.map(|(key, mut rate)| (key, rate.take_left_out())).collect()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for (key, mut rate) in self.rates.drain() {
            key.report(rate.take_left_out());
        }
    }
}

impl Key {
    fn report(&self, more: u64) {
        if more == 0 {
            return;
        }
        let (function, cause) = (self.function.as_ref().map(EntryId::as_str), self.cause);
        match self.severity {
            Severity::Error => {
                error!(function, cause, more, "{more} more failures of this kind within a second");
            }
            Severity::Warning => {
                warn!(function, cause, more, "{more} more failures of this kind within a second");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use crisol_core::{CallContext, Caller, Overload, Spent, Value};
    use tracing::subscriber::DefaultGuard;

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        /// Captures the log lines of this thread.
        fn begin() -> (Self, DefaultGuard) {
            let log = Self::default();
            let writer = log.clone();
            let format =
                tracing_subscriber::fmt().without_time().with_ansi(false).with_target(false);
            let subscriber = format.with_writer(move || writer.clone()).finish();
            (log, tracing::subscriber::set_default(subscriber))
        }

        /// Lines since the last call.
        fn lines(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn trap(id: &EntryId) -> CallError {
        CallError::trap(id, "secret")
    }

    /// Logs the failure of a call.
    fn fail(failures: &FailureLog, id: &EntryId, failure: &CallError) {
        let status = Cause::from(failure.kind()).status();
        failures.failed(id, CallContext::new(Caller::Http).id(), failure, status);
    }

    #[tokio::test(start_paused = true)]
    async fn suppressed_failures_are_reported_after_the_second() -> Tested {
        let (log, _guard) = Log::begin();
        let failures = FailureLog::default();
        let (f, g): (EntryId, EntryId) = ("a:f".parse()?, "a:g".parse()?);
        for _ in 0..25 {
            fail(&failures, &f, &trap(&f));
        }
        fail(&failures, &g, &trap(&g));
        let lines = log.lines();
        assert_eq!(lines.iter().filter(|line| line.contains("function=a:f")).count(), 10);
        assert_eq!(lines.iter().filter(|line| line.contains("function=a:g")).count(), 1);
        assert!(lines.iter().all(|line| line.contains("ERROR") && line.contains("secret")));
        // The number is logged although nothing fails any more.
        sleep(2 * LogRate::WINDOW).await;
        assert_eq!(
            log.lines(),
            [
                r#"ERROR 15 more failures of this kind within a second function="a:f" cause="trap" more=15"#
            ]
        );
        // Nothing is kept in memory after that.
        let state = failures.0.lock().unwrap();
        assert!(state.rates.is_empty() && !state.is_watched);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_function_is_as_bad_as_its_status() -> Tested {
        let (log, _guard) = Log::begin();
        let failures = FailureLog::default();
        let id: EntryId = "a:f".parse()?;
        let call = CallContext::new(Caller::Http).id();
        let error = CallError::function(&id, Value::from("gone"));
        for status in [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::SEE_OTHER] {
            failures.failed(&id, call, &error, status);
        }
        assert_eq!(log.lines(), Vec::<String>::new());
        failures.failed(&id, call, &error, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(log.lines().iter().all(|line| line.contains("ERROR") && line.contains("gone")));
        // A status that is not the function's own does not hide a trap.
        failures.failed(&id, call, &trap(&id), StatusCode::NOT_FOUND);
        let lines = log.lines();
        assert!(lines.len() == 1 && lines[0].contains("ERROR"), "{lines:?}");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn overload_is_a_warning_and_a_cause_of_its_own() -> Tested {
        let (log, _guard) = Log::begin();
        let failures = FailureLog::default();
        let id: EntryId = "a:f".parse()?;
        let queued = Spent { queue: Duration::from_secs(1), ..Spent::default() };
        let ran = Spent { guest: Duration::from_secs(1), ..Spent::default() };
        let overload = [
            CallError::saturated(&id, Overload::Queue { waiting: 1 }),
            CallError::saturated(&id, Overload::Instances { allowed: 1 }),
            CallError::unavailable(&id),
            CallError::interrupted(&id),
            CallError::new(&id, ErrorDetails::Deadline { limit: None, spent: queued }),
        ];
        for failure in &overload {
            fail(&failures, &id, failure);
            let lines = log.lines();
            assert!(lines.len() == 1 && lines[0].contains("WARN"), "{lines:?}");
            let was_interrupted = failure.kind() == ErrorKind::Interrupted;
            assert_eq!(lines[0].contains("the call was interrupted"), was_interrupted, "{lines:?}");
        }
        let deadline = CallError::new(&id, ErrorDetails::Deadline { limit: None, spent: ran });
        fail(&failures, &id, &deadline);
        assert!(log.lines().iter().all(|line| line.contains("ERROR")));
        for _ in 0..1000 {
            fail(&failures, &id, overload.first().ok_or("none")?);
        }
        // Two of this cause were logged before.
        assert_eq!(log.lines().len(), 8);
        drop(failures);
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("WARN 992 more failures of this kind"), "{lines:?}");
        Ok(())
    }
}
