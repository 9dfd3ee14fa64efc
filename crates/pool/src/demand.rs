//! Demand for workers, by which an adaptive pool decides.

/// What calls ask of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Calls let in since the background task looked last.
    pub(crate) admitted: usize,
    /// Calls that run.
    pub(crate) busy: usize,
    /// Calls that ran at once at most since the demand was asked for last.
    pub(crate) peak: usize,
    /// Calls that wait.
    pub(crate) queued: usize,
    /// Calls that may run at once.
    pub(crate) workers: usize,
}
