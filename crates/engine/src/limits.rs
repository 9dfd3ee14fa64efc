//! What one instance may use, and the account of it.

use crisol_core::{Budget, OverBudget, Reservation, ResourceLimit};
use wasmtime::ResourceLimiter;

/// What one call may use. Time is not here: a deadline is an instant, given with each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, all memories of the instance together.
    pub max_memory_bytes: u64,
    /// Instructions, roughly; `None` does not count them. Must be the same as what the function was
    /// compiled for.
    pub max_fuel: Option<u64>,
    /// Bytes of a call's result: text and list contents, scalars by their width.
    pub max_output_bytes: u64,
    /// Elements of all tables of the instance together.
    pub max_table_elements: usize,
}

/// Elements of all tables of an instance, unless set otherwise; also what a pooled table has room for.
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

/// Counts what the memories and tables of one store grow to.
///
/// A guest that asks for too much is told so first (`memory.grow` gives -1); what it asked for is kept,
/// so that if it then gives up, the error can say why. One that asks for more than is left for all instances is not
/// told: its call ends, since allocators take -1 for the end of their own memory and trap.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    memory: u64,
    table: usize,
    refused: Option<ResourceLimit>,
    /// Its part of the memory of all instances.
    held: Reservation,
    /// The last growth for which that had too little left.
    over: Option<OverBudget>,
}

/// Bytes in which memory is reserved. The first reservation takes one step more, for the tables of a small guest and
/// for what the host keeps for each instance, so that such an instance reserves once.
const STEP: u64 = 64 << 10;

/// Bytes of a table's element.
const ELEMENT: u64 = size_of::<usize>() as u64;

impl Meter {
    pub(crate) fn new(limits: Limits, budget: &Budget) -> Self {
        Self { limits, memory: 0, table: 0, refused: None, held: budget.open(), over: None }
    }

    /// Begins a call: what an earlier one was refused says nothing about this one.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
        self.over = None;
    }

    /// Reserves what memories of `memory` bytes and tables of `table` elements take.
    fn hold(&mut self, memory: u64, table: usize) -> Result<(), OverBudget> {
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

    /// The last growth for which all instances together had too little memory left, if any.
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
        // Wasmtime asks before it looks at the guest's own maximum: what cannot be is not counted.
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
        self.hold(wanted, self.table)?;
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
        self.hold(self.memory, wanted)?;
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
    fn memories_and_tables_are_reserved_in_steps_and_a_small_guest_reserves_once() {
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
