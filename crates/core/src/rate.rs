//! Rate limit on the log lines of one source, so that an endless source does not bury the others.

use std::time::{Duration, Instant};

/// Rate limit on the log lines of one source. Lines beyond the rate are counted instead of logged.
///
/// It takes the time as an argument, and does not log itself.
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
    /// Log the line, after a line with the number of omitted ones if there are any.
    Log {
        /// Lines omitted since the last logged line.
        left_out: u64,
    },
    /// Omit the line; it is counted.
    LeaveOut,
}

impl LogRate {
    /// Time over which lines are counted.
    pub const WINDOW: Duration = Duration::from_secs(1);

    /// Creates a limit of `most` lines in each [`LogRate::WINDOW`].
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self { most, began: None, lines: 0, left_out: 0 }
    }

    /// Counts a line at `now` and decides whether to log it.
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

    /// True if the window of the last lines has ended at `now`.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let over = |began| now.saturating_duration_since(began) >= Self::WINDOW;
        self.began.is_none_or(over)
    }

    /// Takes the number of omitted lines that were not reported yet, and resets it.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant works, and there is no runtime")]
mod tests {
    use super::*;

    #[test]
    fn suppressed_lines_are_counted_and_reported_later() {
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
