//! Rate of log lines of one source, so that one that never ends does not bury the rest.

use std::time::{Duration, Instant};

/// Counts log lines of one source per second: so many are logged, the rest is counted.
///
/// It reads no clock and logs nothing itself.
#[derive(Debug, Clone)]
pub struct LogRate {
    most: u32,
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// Treatment of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogVerdict {
    /// Log it, after a line that tells how many were left out, if any were.
    Log {
        /// Lines left out since the last that was logged.
        left_out: u64,
    },
    /// Leave it out; it is counted.
    LeaveOut,
}

impl LogRate {
    /// The time over which lines are counted.
    pub const WINDOW: Duration = Duration::from_secs(1);

    /// A rate of `most` lines in each [`LogRate::WINDOW`].
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self { most, began: None, lines: 0, left_out: 0 }
    }

    /// Counts a line at `now`, and tells whether to log it.
    pub fn judge(&mut self, now: Instant) -> LogVerdict {
        if self.is_over(now) {
            self.began = Some(now);
            self.lines = 0;
        }
        if self.lines >= self.most {
            self.left_out += 1;
            return LogVerdict::LeaveOut;
        }
        self.lines += 1;
        LogVerdict::Log { left_out: self.take_left_out() }
    }

    /// Whether the window that the last lines were counted in is over.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let over = |began| now.saturating_duration_since(began) >= Self::WINDOW;
        self.began.is_none_or(over)
    }

    /// Lines left out that have not been told of; from now on they are.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do, and there is no runtime")]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_rate_are_counted_and_told_of_when_it_allows() {
        let (mut rate, start) = (LogRate::new(3), Instant::now());
        let log = |left_out| LogVerdict::Log { left_out };
        for _ in 0..3 {
            assert_eq!(rate.judge(start), log(0));
        }
        assert_eq!(rate.judge(start + LogRate::WINDOW / 2), LogVerdict::LeaveOut);
        assert_eq!(rate.judge(start + LogRate::WINDOW / 2), LogVerdict::LeaveOut);
        assert!(
            !rate.is_over(start + LogRate::WINDOW / 2) && rate.is_over(start + LogRate::WINDOW)
        );
        assert_eq!(rate.judge(start + LogRate::WINDOW), log(2));
        assert_eq!(rate.judge(start + LogRate::WINDOW), log(0));
        assert_eq!(rate.take_left_out(), 0);
    }
}
