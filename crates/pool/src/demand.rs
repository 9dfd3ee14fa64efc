//! Demand for workers, the input of an adaptive pool's decisions.

/// Demand of a pool, since the background task's last run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Calls admitted since the last run.
    pub(crate) admitted: usize,
    /// Calls that run now.
    pub(crate) busy: usize,
    /// Highest number of calls that ran at once since the last run.
    pub(crate) peak: usize,
    /// Calls that wait now.
    pub(crate) queued: usize,
    /// Calls that may run at once.
    pub(crate) workers: usize,
}
