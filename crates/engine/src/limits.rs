//! Limits of one instance, and the meter of its use.

use crisol_core::{Budget, OverBudget, Reservation, ResourceLimit};
use wasmtime::ResourceLimiter;

/// Limits of one call. Time is not among them: each call gets its deadline as an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, over all memories of the instance.
    pub max_memory_bytes: u64,
    /// Fuel, about one per instruction; `None` disables counting. Must agree with the `fuel` that the function was
    /// compiled with.
    pub max_fuel: Option<u64>,
    /// Bytes of a call's result: contents of text and lists, and scalars by their width.
    pub max_output_bytes: u64,
    /// Elements over all tables of the instance.
    pub max_table_elements: usize,
}

/// Default maximum of table elements of an instance, and the capacity of a pooled table.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 100_000;

impl Default for Limits {
    /// 256 MiB of memory, 4 MiB of output, 100 000 table elements, no fuel.
    fn default() -> Self {
        Self {
            max_memory_bytes: 256 << 20,
            max_fuel: None,
            max_output_bytes: 4 << 20,
            max_table_elements: MAX_TABLE_ELEMENTS,
        }
    }
}

/// Meter of the memories and tables of one store.
///
/// A growth over the instance's limit is refused first (`memory.grow` returns -1) and recorded, so that the error
/// names it if the guest then gives up. A growth over the budget of all instances ends the call instead, since
/// allocators would take -1 for the end of their own memory and trap.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    memory: u64,
    table: usize,
    refused: Option<ResourceLimit>,
    /// The store's share of the memory budget.
    held: Reservation,
    /// The last growth that the budget refused.
    over: Option<OverBudget>,
}

/// Granularity of reservations in bytes. The first one takes an extra step, for the tables of a small guest and
/// the host's own state per instance, so that a small instance reserves once.
const STEP: u64 = 64 << 10;

/// Bytes of a table's element.
const ELEMENT: u64 = size_of::<usize>() as u64;

impl Meter {
    pub(crate) fn new(limits: Limits, budget: &Budget) -> Self {
        Self { limits, memory: 0, table: 0, refused: None, held: budget.open(), over: None }
    }

    /// Begins a call: clears the refusals of earlier calls.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
        self.over = None;
    }

    /// Reserves the budget for memories of `memory` bytes and tables of `table` elements.
    fn reserve(&mut self, memory: u64, table: usize) -> Result<(), OverBudget> {
        let wanted = memory.saturating_add(ELEMENT.saturating_mul(table as u64));
        let held = self.held.bytes();
        if wanted <= held {
            return Ok(());
        }
        let first = if held == 0 { STEP } else { 0 };
        let more = (wanted - held).div_ceil(STEP).saturating_mul(STEP).saturating_add(first);
        self.held.grow(more).inspect_err(|over| self.over = Some(*over))
    }

    /// The last growth of memory or a table that this call was refused, if any.
    pub(crate) fn refused(&self) -> Option<ResourceLimit> {
        self.refused
    }

    /// The last growth that the budget of all instances refused, if any.
    pub(crate) fn over(&self) -> Option<OverBudget> {
        self.over
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Wasmtime asks before it checks the guest's own maximum; an impossible growth is not counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let grown = desired.saturating_sub(current) as u64;
        let wanted = self.memory.saturating_add(grown);
        let allowed = self.limits.max_memory_bytes;
        if wanted > allowed {
            self.refused = Some(ResourceLimit::Memory { allowed, wanted });
            return Ok(false);
        }
        self.reserve(wanted, self.table)?;
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.table.saturating_add(desired.saturating_sub(current));
        let allowed = self.limits.max_table_elements;
        if wanted > allowed {
            self.refused = Some(ResourceLimit::Table { allowed, wanted });
            return Ok(false);
        }
        self.reserve(self.memory, wanted)?;
        self.table = wanted;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_of_one_instance_share_their_allowance() -> wasmtime::Result<()> {
        let tight = Limits { max_memory_bytes: 100, ..Limits::default() };
        let mut meter = Meter::new(tight, &Budget::unlimited());
        assert!(meter.memory_growing(0, 60, None)?);
        assert!(!meter.memory_growing(0, 60, None)?);
        assert_eq!(meter.refused(), Some(ResourceLimit::Memory { allowed: 100, wanted: 120 }));
        assert!(meter.memory_growing(60, 100, None)?);
        let mut meter = Meter::new(tight, &Budget::unlimited());
        assert!(!meter.memory_growing(0, 90, Some(80))?, "beyond the guest's own maximum");
        assert!(meter.memory_growing(0, 80, Some(80))?, "and not charged for it");
        Ok(())
    }

    #[test]
    fn small_guests_reserve_memory_once() {
        let budget = Budget::new(10 * STEP);
        let mut meter = Meter::new(Limits::default(), &budget);
        let mut grow = |memory: bool, from: u64, to: u64| {
            let (from, to) = (from.try_into().unwrap(), to.try_into().unwrap());
            let grown = match memory {
                true => meter.memory_growing(from, to, None),
                false => meter.table_growing(from, to, None),
            };
            (grown.map_err(|error| error.is::<OverBudget>()), budget.used() / STEP)
        };
        assert_eq!(grow(true, 0, STEP), (Ok(true), 2));
        assert_eq!(grow(false, 0, STEP / ELEMENT), (Ok(true), 2));
        assert_eq!(grow(true, STEP, 2 * STEP), (Ok(true), 3));
        assert_eq!(grow(false, 0, 1), (Ok(true), 4));
        assert_eq!(grow(true, 0, 7 * STEP), (Err(true), 4));
        assert_eq!(grow(true, 0, 6 * STEP), (Ok(true), 10));
        assert_eq!(grow(false, 1, 2 * STEP / ELEMENT), (Err(true), 10));
        let over = meter.over();
        assert_eq!(over, Some(OverBudget { wanted: STEP, used: 10 * STEP, limit: 10 * STEP }));
        drop(meter);
        assert_eq!(budget.used(), 0);
    }
}
