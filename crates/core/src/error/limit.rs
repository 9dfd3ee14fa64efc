//! Limits and times that the texts of errors show.

use std::time::Duration;

/// A limit other than time that a guest ran into. All sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceLimit {
    /// `limits.max_memory_bytes`: linear memories of one instance together.
    Memory {
        /// What the entry allows.
        allowed: u64,
        /// What the guest asked for in all.
        wanted: u64,
    },
    /// `limits.max_memory_bytes` of a script, which knows not how much more it would have taken.
    ScriptMemory {
        /// What the entry allows.
        allowed: u64,
    },
    /// `limits.max_fuel`: instructions, roughly.
    Fuel {
        /// What the entry allows.
        allowed: u64,
    },
    /// `limits.max_output_bytes`: the size of a call's result.
    Output {
        /// What the entry allows.
        allowed: u64,
    },
    /// Elements of all tables of one instance together.
    Table {
        /// What an instance may have.
        allowed: usize,
        /// What the guest asked for in all.
        wanted: usize,
    },
    /// The guest's stack, by endless or very deep recursion.
    Stack,
}

impl std::fmt::Display for ResourceLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory { allowed, wanted } => write!(
                f,
                "`limits.max_memory_bytes` of {allowed} (the guest asked for {wanted} in all)"
            ),
            Self::ScriptMemory { allowed } => write!(f, "`limits.max_memory_bytes` of {allowed}"),
            Self::Fuel { allowed } => write!(f, "`limits.max_fuel` of {allowed}"),
            Self::Output { allowed } => write!(f, "`limits.max_output_bytes` of {allowed}"),
            Self::Table { allowed, wanted } => write!(
                f,
                "the limit of {allowed} table elements (the guest asked for {wanted} in all)"
            ),
            Self::Stack => write!(f, "its stack (endless recursion?)"),
        }
    }
}

/// Where a call's time went until its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Waiting for a worker.
    pub queue: Duration,
    /// Running guest code.
    pub guest: Duration,
    /// Waiting for the host on the guest's behalf: timers, files, sockets, other functions.
    pub host: Duration,
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        write!(
            f,
            "{:.1} ms queued, {:.1} ms in the guest, {:.1} ms in the host",
            ms(self.queue),
            ms(self.guest),
            ms(self.host)
        )
    }
}
