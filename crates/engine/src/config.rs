//! How an engine is set up: the one place that builds a `wasmtime::Config`.

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

/// How an engine is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Where instances get their memory.
    pub allocation: Allocation,
    /// Bytes of memory that all instances may hold together, with the scripts that share the engine's
    /// [`Budget`](crate::Engine::budget).
    pub memory: MaxMemory,
    /// How long a guest computes before it gives way to others, and how finely its deadline is kept:
    /// 100 µs to 100 ms, and what is outside is taken as the nearer of the two.
    pub tick: Duration,
    /// Bytes of stack that a guest's own frames may take.
    pub max_wasm_stack: usize,
    /// How large code may be that is compiled.
    pub code: CodeLimits,
    /// Where machine code is kept from one run to the next; nowhere, unless it is set.
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
            cache: None,
        }
    }
}

/// Why an engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Wasmtime refused the configuration, or the address space for instances could not be had.
    #[error("the WebAssembly engine could not be set up")]
    Setup(#[source] wasmtime::Error),
    /// The thread that interrupts guests could not be started.
    #[error("the thread that interrupts guests could not be started")]
    Ticker(#[source] std::io::Error),
}

/// Tables and memories that one core module may have: guests of several are rare, but valid.
const PER_MODULE: u32 = 8;

/// Memories, tables and core instances that one component may have: all functions share the slots, and one
/// guest must not take them all by a single instance.
const MEMORIES_PER_COMPONENT: u32 = 32;
const TABLES_PER_COMPONENT: u32 = 128;
const CORE_PER_ONE_COMPONENT: u32 = 256;

/// What a guest may use besides the instructions every engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flavour {
    /// Count instructions, so that `max_fuel` can be kept. Makes code slower and larger, so functions
    /// without that limit run on an engine without it.
    pub(crate) fuel: bool,
    /// Support for asynchronous component functions, streams and futures. Costs a small call two thirds
    /// of its time, so components that use none of it run on an engine without it.
    pub(crate) concurrent: bool,
}

impl Flavour {
    /// How many there are.
    pub(crate) const COUNT: usize = 4;

    /// What a function needs that asks for nothing.
    pub(crate) const PLAIN: Self = Self { fuel: false, concurrent: false };

    /// A number below [`Flavour::COUNT`], each one's own.
    pub(crate) fn index(self) -> usize {
        usize::from(self.fuel) | usize::from(self.concurrent) << 1
    }
}

impl EngineConfig {
    pub(crate) fn build(&self, flavour: Flavour, retained: Retained) -> Config {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // Types of the component model that wasmtime has and does not yet switch on by itself.
            .wasm_component_model_map(true)
            .wasm_component_model_fixed_length_lists(true)
            .concurrency_support(flavour.concurrent)
            // Traps name source lines of guests that carry debug information.
            .wasm_backtrace_details(WasmBacktraceDetails::Enable)
            .wasm_backtrace_max_frames(NonZeroUsize::new(Trace::MAX_FRAMES))
            .epoch_interruption(true)
            .consume_fuel(flavour.fuel)
            .max_wasm_stack(self.max_wasm_stack)
            // Wasmtime wants room for its own frames above the guest's.
            .async_stack_size(self.max_wasm_stack.saturating_add(1 << 20))
            .allocation_strategy(self.strategy(flavour, retained));
        if self.allocation == Allocation::Sparing {
            config
                .memory_reservation(0)
                .memory_guard_size(0)
                .memory_reservation_for_growth(1 << 20);
        }
        config
    }

    fn strategy(&self, flavour: Flavour, retained: Retained) -> InstanceAllocationStrategy {
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
            // Few instances have two.
            .total_memories(instances)
            .total_stacks(if flavour.concurrent { core } else { instances })
            .max_unused_warm_slots(instances)
            .pagemap_scan(if scan { Enabled::Yes } else { Enabled::No })
            .linear_memory_keep_resident(retained.memory)
            .table_keep_resident(retained.table);
        InstanceAllocationStrategy::Pooling(pool)
    }
}
