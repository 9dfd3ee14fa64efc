//! Pages that free slots of the pooling allocator keep: resident memory that belongs to no instance.

use wasmtime::PoolingAllocationConfig;

use super::{Allocation, CORE_PER_INSTANCE};

/// Bytes of a slot's memory that stay mapped between two instances. With the page-map scan of Linux
/// 6.7 and later only dirtied pages are reset, so a high bound is cheap; without it everything below
/// the bound is overwritten each time, so it must stay low (docs/performance.md).
const WITH_SCAN: usize = 2 << 20;
const WITHOUT_SCAN: usize = 64 << 10;
const OF_TABLE: usize = 64 << 10;

/// Fraction of the memory budget that the free slots of one engine may keep: one in `SHARE`.
const SHARE: u64 = 8;

const PAGE: usize = 4096;

/// Bytes of a slot below which keeping pages is not worthwhile.
const LEAST: usize = 16 << 10;

/// Maximum bytes that each free slot keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retained {
    pub(crate) memory: usize,
    pub(crate) table: usize,
}

/// Returns true if the system can scan for the dirty pages of a slot.
pub(crate) fn can_scan() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}

impl Retained {
    pub(crate) const NOTHING: Self = Self { memory: 0, table: 0 };

    /// Bytes per slot for a memory budget of `limit` bytes: all slots together keep at most an eighth of it.
    pub(crate) fn within(limit: u64, allocation: Allocation) -> Self {
        let Allocation::Pooling { instances } = allocation else { return Self::NOTHING };
        let share = limit / SHARE / u64::from(instances.max(1));
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        let pages = |bytes: usize| bytes / PAGE * PAGE;
        let tables = CORE_PER_INSTANCE as usize;
        let table = pages(share / 4 / tables).min(OF_TABLE);
        let most = if can_scan() { WITH_SCAN } else { WITHOUT_SCAN };
        let memory = pages(share - table * tables).min(most);
        if memory < LEAST { Self::NOTHING } else { Self { memory, table } }
    }

    /// Maximum bytes that all slots keep together.
    pub(crate) fn in_all(self, allocation: Allocation) -> u64 {
        let Allocation::Pooling { instances } = allocation else { return 0 };
        let each = self.memory as u64 + self.table as u64 * u64::from(CORE_PER_INSTANCE);
        each.saturating_mul(instances.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_slots_keep_an_eighth_of_the_memory_at_most() {
        for limit in [0, 1 << 20, 64 << 20, 384 << 20, 6 << 30, 1 << 40, u64::MAX] {
            for instances in [1, 3, 1000, 10_000, u32::MAX] {
                let allocation = Allocation::Pooling { instances };
                let kept = Retained::within(limit, allocation);
                assert!(kept.in_all(allocation) <= limit / SHARE, "{limit} {instances} {kept:?}");
                assert!(kept.memory <= WITH_SCAN && kept.table <= OF_TABLE);
            }
        }
        let thousand = Allocation::Pooling { instances: 1000 };
        assert_eq!(Retained::within(64 << 20, thousand), Retained::NOTHING);
        let little = Retained { memory: 49_152, table: 0 };
        assert_eq!(Retained::within(384 << 20, thousand), little);
        let most = if can_scan() { WITH_SCAN } else { WITHOUT_SCAN };
        let plenty = Retained { memory: most, table: OF_TABLE };
        assert_eq!(Retained::within(u64::MAX, thousand), plenty);
        assert_eq!(Retained::within(64 << 30, Allocation::OnDemand), Retained::NOTHING);
        assert_eq!(Retained::NOTHING.in_all(thousand), 0);
    }
}
