//! Engine configuration: the only place that builds a `wasmtime::Config`.

use std::num::NonZeroUsize;
use std::time::Duration;

use crisol_core::Trace;

use crate::allocation::retained::{self, Retained};
use crate::allocation::{Allocation, CORE_PER_INSTANCE};
use crate::aot::CodeCache;
use crate::inspect::CodeLimits;
use crate::memory::MaxMemory;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

/// Configuration of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Allocation strategy for instances.
    pub allocation: Allocation,
    /// Memory limit over all instances, together with the scripts that share the engine's
    /// [`Budget`](crate::Engine::budget).
    pub memory: MaxMemory,
    /// Time slice after which a guest yields to other tasks, and the resolution of its deadline. Values are
    /// clamped to 100 µs to 100 ms.
    pub tick: Duration,
    /// Bytes of stack that a guest's own frames may take.
    pub max_wasm_stack: usize,
    /// Size limits of code that is compiled.
    pub code: CodeLimits,
    /// Maximum number of wasmtime engines of one kind. Each serves some of the threads, since threads that share one wait
    /// for its reference counts; there are at most as many as cores, and 16. Slots are divided among them.
    pub max_shards: usize,
    /// Disk cache for machine code; `None` by default.
    pub cache: Option<CodeCache>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            allocation: Allocation::Pooling { instances: 1000 },
            memory: MaxMemory::default(),
            tick: Duration::from_millis(4),
            max_wasm_stack: 512 << 10,
            code: CodeLimits::default(),
            max_shards: crate::shards::MAX_SHARDS,
            cache: None,
        }
    }
}

/// Reason that an engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Wasmtime refused the configuration, or the address space for instances is not available.
    #[error("the WebAssembly engine could not be set up")]
    Setup(#[source] wasmtime::Error),
    /// The thread that interrupts guests could not be started.
    #[error("the thread that interrupts guests could not be started")]
    Ticker(#[source] std::io::Error),
}

/// Maximum tables, and memories, of one core module. Guests with several are rare, but valid.
const PER_MODULE: u32 = 8;

/// Maximum memories, tables and core instances of one component: all functions share the slots, and a single
/// instance must not take all of them.
const MEMORIES_PER_COMPONENT: u32 = 32;
const TABLES_PER_COMPONENT: u32 = 128;
const CORE_PER_ONE_COMPONENT: u32 = 256;

/// Optional features of an engine, which need a wasmtime engine of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VariantKey {
    /// Counts instructions, which `max_fuel` needs. Code is slower and larger with it, so functions without
    /// that limit run on an engine without it.
    pub(crate) fuel: bool,
    /// Support for asynchronous component functions, streams and futures. Costs a small call two thirds
    /// of its time, so components that use none of it run on an engine without it.
    pub(crate) concurrent: bool,
}

impl VariantKey {
    /// Number of variants.
    pub(crate) const COUNT: usize = 4;

    /// The key without optional features.
    pub(crate) const PLAIN: Self = Self { fuel: false, concurrent: false };

    /// A unique index below [`VariantKey::COUNT`].
    pub(crate) fn index(self) -> usize {
        usize::from(self.fuel) | usize::from(self.concurrent) << 1
    }
}

impl EngineConfig {
    /// The configuration of one of `shards` shards: slots are divided among them.
    pub(crate) fn of_shard(&self, shard: usize, shards: usize) -> Self {
        let mut config = self.clone();
        if let Allocation::Pooling { instances } = &mut config.allocation {
            let (shard, shards) = (shard as u32, shards.max(1) as u32);
            *instances = *instances / shards + u32::from(shard < *instances % shards);
        }
        config
    }

    pub(crate) fn build(&self, key: VariantKey, retained: Retained) -> Config {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // Component model types that wasmtime implements, but does not yet enable by default.
            .wasm_component_model_map(true)
            .wasm_component_model_fixed_length_lists(true)
            .concurrency_support(key.concurrent)
            // Traps name source lines of guests with debug information.
            .wasm_backtrace_details(WasmBacktraceDetails::Enable)
            .wasm_backtrace_max_frames(NonZeroUsize::new(Trace::MAX_FRAMES))
            .epoch_interruption(true)
            .consume_fuel(key.fuel)
            .max_wasm_stack(self.max_wasm_stack)
            // Wasmtime needs room for its own frames beside the guest's.
            .async_stack_size(self.max_wasm_stack.saturating_add(1 << 20))
            .allocation_strategy(self.strategy(key, retained));
        if self.allocation == Allocation::Unreserved {
            config
                .memory_reservation(0)
                .memory_guard_size(0)
                .memory_reservation_for_growth(1 << 20);
        }
        config
    }

    fn strategy(&self, key: VariantKey, retained: Retained) -> InstanceAllocationStrategy {
        let Allocation::Pooling { instances } = self.allocation else {
            return InstanceAllocationStrategy::OnDemand;
        };
        let core = instances.saturating_mul(CORE_PER_INSTANCE);
        let scan = retained::can_scan();
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(core)
            .total_tables(core)
            .table_elements(crate::limits::MAX_TABLE_ELEMENTS)
            .max_tables_per_module(PER_MODULE)
            .max_memories_per_module(PER_MODULE)
            .max_memories_per_component(MEMORIES_PER_COMPONENT)
            .max_tables_per_component(TABLES_PER_COMPONENT)
            .max_core_instances_per_component(CORE_PER_ONE_COMPONENT)
            // Few instances have two memories.
            .total_memories(instances)
            .total_stacks(if key.concurrent { core } else { instances })
            .max_unused_warm_slots(instances)
            .pagemap_scan(if scan { Enabled::Yes } else { Enabled::No })
            .linear_memory_keep_resident(retained.memory)
            .table_keep_resident(retained.table);
        InstanceAllocationStrategy::Pooling(pool)
    }
}
