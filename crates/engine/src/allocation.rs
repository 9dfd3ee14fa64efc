//! Allocation strategies for instances.

pub(crate) mod retained;

/// Allocation strategy for instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocation {
    /// Slots that are reserved once and reused: microseconds per instance. Reserves about 4 GiB of
    /// *address space* (not memory) per linear memory, so a process should have only one such engine.
    Pooling {
        /// Maximum instances alive at once. Core slots are five times as many: one for a bare core module and four
        /// for a component, which takes one per core module in it.
        instances: u32,
    },
    /// Mapped on demand: slower, without a limit of its own.
    OnDemand,
    /// Mapped on demand without reserved address space, for processes that have little of it. Slower still, since
    /// each memory access checks bounds.
    Unreserved,
}

/// Core instances and tables for each component instance, on average.
const CORE_PER_COMPONENT: u32 = 4;

/// Core instances and tables for each slot, which holds a component or a core module.
pub(crate) const CORE_PER_INSTANCE: u32 = CORE_PER_COMPONENT + 1;
