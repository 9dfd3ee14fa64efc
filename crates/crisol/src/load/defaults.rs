//! Default limits of functions.

use std::time::Duration;

use crisol_engine::Limits;

/// Default limits, for functions whose entries set none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Default of `limits.max_execution_ms`: 30 s.
    pub max_execution: Duration,
    /// Default of `limits.max_memory_bytes`: 256 MiB.
    pub max_memory_bytes: u64,
    /// Default of `limits.max_output_bytes`: 4 MiB.
    pub max_output_bytes: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        let Limits { max_memory_bytes, max_output_bytes, .. } = Limits::default();
        Self { max_execution: Duration::from_secs(30), max_memory_bytes, max_output_bytes }
    }
}

impl Defaults {
    /// Returns the time limit of an entry's calls.
    pub(crate) fn max_execution(&self, own: &crisol_schema::Limits) -> Duration {
        own.max_execution.unwrap_or(self.max_execution)
    }

    /// Returns the limits of an entry, completed with the defaults.
    pub(crate) fn limits(&self, own: &crisol_schema::Limits) -> Limits {
        Limits {
            max_memory_bytes: own.max_memory_bytes.unwrap_or(self.max_memory_bytes),
            max_fuel: own.max_fuel,
            max_output_bytes: own.max_output_bytes.unwrap_or(self.max_output_bytes),
            ..Limits::default()
        }
    }
}
