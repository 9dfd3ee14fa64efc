//! Number of ready workers that an adaptive pool keeps: enough to last from one refill to the next.
//!
//! Workers that serve one call are used up by arrivals, so the target is the most calls admitted between two runs
//! of the background task. Workers that serve many calls return, so the target is the most that were busy at once.
//! Both maxima are over the last 10 to 20 s: a burst finds the workers that the previous burst needed, and a pool
//! at rest keeps one.

use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct ReadyTarget {
    /// Highest need in the current window, and in the one before.
    peaks: [usize; 2],
    began: Duration,
}

impl ReadyTarget {
    pub(crate) fn new(start: usize) -> Self {
        Self { peaks: [start, 0], began: Duration::ZERO }
    }

    /// Number of workers to keep, given that `needed` were needed since the last run.
    pub(crate) fn update(&mut self, now: Duration, needed: usize) -> usize {
        if now.saturating_sub(self.began) >= WINDOW {
            let missed = now.saturating_sub(self.began) >= 2 * WINDOW;
            let [current, _] = self.peaks;
            self.peaks = [0, if missed { 0 } else { current }];
            self.began = now;
        }
        let [current, previous] = &mut self.peaks;
        *current = (*current).max(needed);
        (*current).max(*previous).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_remembered_for_ten_to_twenty_seconds() {
        let mut target = ReadyTarget::new(4);
        let mut keep = |s, needed| target.update(Duration::from_secs(s), needed);
        assert_eq!(keep(0, 0), 4);
        assert_eq!(keep(1, 30), 30);
        assert_eq!(keep(9, 2), 30);
        assert_eq!(keep(11, 2), 30);
        assert_eq!(keep(19, 3), 30);
        assert_eq!(keep(21, 0), 3);
        assert_eq!(keep(60, 0), 1, "no update for long");
    }
}
