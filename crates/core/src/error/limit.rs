//! Limits and times in the texts of errors.

use std::time::Duration;

use crate::OverBudget;

/// A limit other than time that a running call exceeded. All sizes are in bytes.
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

/// The full resource that a call found no room in. A later call may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overload {
    /// `pool.buffer`: the queue of the function.
    Queue {
        /// Number of calls that wait.
        waiting: usize,
    },
    /// The instances of the engine.
    Instances {
        /// Maximum number of instances.
        allowed: u64,
    },
    /// The memory of the system, which it refused for another instance.
    SystemMemory,
    /// The memory of all instances and scripts together, which has no room for another instance.
    Memory(OverBudget),
    /// The same memory, when a running call asked for more. Unlike the others, the call had started: a retry may repeat its
    /// effects.
    MemoryWhileRunning(OverBudget),
}

impl Overload {
    /// Returns true if the call had started when it was stopped, so that a retry may repeat its effects.
    #[must_use]
    pub const fn has_started(self) -> bool {
        matches!(self, Self::MemoryWhileRunning(_))
    }

    /// Message for callers outside the process.
    pub(super) fn public_message(self) -> &'static str {
        match self {
            Self::Queue { .. } => "too many calls are waiting; try again later",
            Self::Instances { .. } => "all instances are in use; try again later",
            Self::SystemMemory | Self::Memory(_) => {
                "no memory is left for another call; try again later"
            }
            Self::MemoryWhileRunning(_) => "no memory is left for the call; try again later",
        }
    }
}

/// Continues the sentence that the function's id begins.
impl std::fmt::Display for Overload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Queue { waiting } => {
                let calls = if *waiting == 1 { "call waits" } else { "calls wait" };
                write!(f, "is saturated: {waiting} {calls} already, the limit of `pool.buffer`")
            }
            Self::Instances { allowed } => write!(
                f,
                "found all {allowed} instances of the engine in use: start with more (`--instances`), or lower the pools' sizes"
            ),
            Self::SystemMemory => write!(
                f,
                "cannot get an instance: the system refuses memory for another; lower the pools' sizes, free memory, or on Linux raise `vm.max_map_count`"
            ),
            Self::Memory(over) | Self::MemoryWhileRunning(over) => write!(
                f,
                "is saturated: {over} by instances and scripts: allow more (`--memory`), or lower `limits.max_memory_bytes` or the pools' sizes"
            ),
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
