//! What one instance may use, and the account of it.

use crisol_core::ResourceLimit;
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
/// so that if it then gives up, the error can say why.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    memory: u64,
    table: usize,
    refused: Option<ResourceLimit>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, table: 0, refused: None }
    }

    /// Begins a call: what an earlier one was refused says nothing about this one.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
    }

    /// The last growth of memory or a table that this call was refused, if any.
    pub(crate) fn refused(&self) -> Option<ResourceLimit> {
        self.refused
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
        self.table = wanted;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_of_one_instance_share_their_allowance() -> wasmtime::Result<()> {
        let mut meter = Meter::new(Limits { max_memory_bytes: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None)?);
        assert!(!meter.memory_growing(0, 60, None)?);
        assert_eq!(meter.refused(), Some(ResourceLimit::Memory { allowed: 100, wanted: 120 }));
        assert!(meter.memory_growing(60, 100, None)?);
        let mut meter = Meter::new(Limits { max_memory_bytes: 100, ..Limits::default() });
        assert!(!meter.memory_growing(0, 90, Some(80))?, "beyond the guest's own maximum");
        assert!(meter.memory_growing(0, 80, Some(80))?, "and not charged for it");
        Ok(())
    }
}
