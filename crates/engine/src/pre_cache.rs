//! Linked form of a component or core module and its grants, built once for all functions with the same code and
//! grants: the linker and the resolved imports depend on nothing else.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crisol_core::Budget;
use wasmtime::component::InstancePre;

use crate::config::VariantKey;
use crate::host::Host;
use crate::imports::{Grants, Import};
use crate::machine_code::MachineCode;
use crate::program::Program;
use crate::shards::{Sharded, Slots, TakenSlots};
use crate::ticker::Ticks;
use crate::variant::{EngineVariant, Variants};

/// State shared by functions with the same code and grants.
pub(crate) struct SharedPre {
    /// The linked form, repeated for each shard that calls it.
    pub(crate) shards: Sharded<ShardPre>,
    pub(crate) imports: Vec<Import>,
    /// True if the code imports anything, which may be more than `imports` lists.
    pub(crate) has_imports: bool,
    /// Engines, code and grants from which further shards are linked.
    pub(crate) variants: Arc<Variants>,
    pub(crate) key: VariantKey,
    pub(crate) program: Arc<Program>,
    pub(crate) grants: Grants,
}

/// Linked form on one shard.
pub(crate) struct ShardPre {
    pub(crate) pre: Pre,
    /// Budget for the memory of all instances and scripts.
    pub(crate) budget: Budget,
    /// Ticks of the clock that interrupts guests.
    pub(crate) ticks: Ticks,
    slots: Slots,
    /// Slots that one instance takes.
    slots_each: usize,
}

impl ShardPre {
    pub(crate) fn new(variant: &EngineVariant, pre: Pre, code: &MachineCode) -> Self {
        let (budget, ticks) = (variant.budget.clone(), variant.ticks.clone());
        Self { pre, budget, ticks, slots: variant.slots.clone(), slots_each: code.slots() }
    }

    /// Returns true if there is room for an instance. Another thread may take it first.
    pub(crate) fn has_free(&self) -> bool {
        self.slots.have_free(self.slots_each)
    }

    /// Counts the slots of an instance as taken.
    pub(crate) fn take_slots(&self) -> TakenSlots {
        self.slots.take(self.slots_each)
    }
}

/// Code whose imports are resolved.
pub(crate) enum Pre {
    Component(InstancePre<Host>),
    Module {
        pre: wasmtime::InstancePre<Host>,
        /// True if the guest may see the folders of its entry.
        has_folders: bool,
    },
}

impl Pre {
    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::Component(pre) => pre.engine(),
            Self::Module { pre, .. } => pre.module().engine(),
        }
    }
}

/// Linked forms of one component or module that are in use, at most one per function.
#[derive(Default)]
pub(crate) struct PreCache(Mutex<Vec<(Grants, Weak<SharedPre>)>>);

impl PreCache {
    /// Finds the linked form for `grants`, if there is one.
    pub(crate) fn find(&self, grants: &Grants) -> Option<Arc<SharedPre>> {
        let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.iter().find(|(other, _)| other == grants)?.1.upgrade()
    }

    /// Stores a linked form. Two callers may build the same one concurrently, which only costs time.
    pub(crate) fn keep(&self, grants: &Grants, shared: &Arc<SharedPre>) {
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|(other, shared)| other != grants && shared.strong_count() > 0);
        in_use.push((grants.clone(), Arc::downgrade(shared)));
    }
}
