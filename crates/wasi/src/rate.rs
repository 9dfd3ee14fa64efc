//! How many lines a function may log, so that one that talks without end does not bury the rest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines that one function may log in one [`WINDOW`].
const MAX_LINES: u32 = 1000;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts the lines of one function, over all its instances.
#[derive(Debug, Default)]
pub(crate) struct Rate(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// What is to become of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Log it, and before it that so many were left out, if any.
    Log {
        left_out: u64,
    },
    LeaveOut,
}

impl Rate {
    pub(crate) fn judge(&self, now: Instant) -> Verdict {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |began| now.saturating_duration_since(began) >= WINDOW;
        if window.began.is_none_or(over) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines >= MAX_LINES {
            window.left_out += 1;
            return Verdict::LeaveOut;
        }
        window.lines += 1;
        Verdict::Log { left_out: std::mem::take(&mut window.left_out) }
    }

    /// Lines left out that nobody has been told of.
    pub(crate) fn left_out(&self) -> u64 {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut window.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_rate_are_counted_and_told_of_when_it_allows() {
        let (rate, start) = (Rate::default(), Instant::now());
        let log = |left_out| Verdict::Log { left_out };
        for _ in 0..MAX_LINES {
            assert_eq!(rate.judge(start), log(0));
        }
        assert_eq!(rate.judge(start + WINDOW / 2), Verdict::LeaveOut);
        assert_eq!(rate.judge(start + WINDOW / 2), Verdict::LeaveOut);
        assert_eq!(rate.judge(start + WINDOW), log(2));
        assert_eq!(rate.judge(start + WINDOW), log(0));
        assert_eq!(rate.left_out(), 0);
    }
}
