//! Limits and times in the texts of errors.

use std::time::Duration;

/// A limit other than time that a guest exceeded. All sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceLimit {
    /// `limits.max_memory_bytes`: the linear memories of one instance in total.
    Memory {
        /// The entry's limit.
        allowed: u64,
        /// The total that the guest requested.
        wanted: u64,
    },
    /// `limits.max_memory_bytes` of a script. A script does not report how much more it requested.
    ScriptMemory {
        /// The entry's limit.
        allowed: u64,
    },
    /// `limits.max_fuel`: roughly the number of instructions.
    Fuel {
        /// The entry's limit.
        allowed: u64,
    },
    /// `limits.max_output_bytes`: the size of a call's result.
    Output {
        /// The entry's limit.
        allowed: u64,
    },
    /// Elements in all tables of one instance in total.
    Table {
        /// The limit for one instance.
        allowed: usize,
        /// The total that the guest requested.
        wanted: usize,
    },
    /// The guest's stack, exceeded by endless or very deep recursion.
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

/// Time that a call spent until its deadline.
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
