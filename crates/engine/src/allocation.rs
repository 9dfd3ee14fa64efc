//! Where instances get their memory.

pub(crate) mod retained;

/// Where instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocation {
    /// Slots reserved once and handed out again: microseconds per instance. Reserves about 4 GiB of
    /// *address space* (not memory) per linear memory, so a process should have one such engine.
    Pooling {
        /// Instances that may be alive at once. A component of several core modules takes several of the core slots,
        /// of which there are five times as many: one for each core module that runs as it is, four for each component.
        instances: u32,
    },
    /// Mapped when asked for: slower, without a limit of its own.
    OnDemand,
    /// Mapped when asked for, and no more than is asked for: for processes whose address space is short.
    /// Slower still, since bounds of memories are checked by instructions.
    Sparing,
}

/// Core instances and tables for each component instance, on average.
const CORE_PER_COMPONENT: u32 = 4;

/// The same for each instance that there may be: a component or a core module.
pub(crate) const CORE_PER_INSTANCE: u32 = CORE_PER_COMPONENT + 1;
