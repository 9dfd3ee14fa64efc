//! Machine code as wasmtime holds it.

use wasmtime::Module;
use wasmtime::component::Component;

use crate::allocation::CORE_PER_INSTANCE;

/// Machine code by its kind.
pub(crate) enum MachineCode {
    Component(Component),
    Module(Module),
}

impl MachineCode {
    /// Returns true if the code imports anything.
    pub(crate) fn has_imports(&self, engine: &wasmtime::Engine) -> bool {
        match self {
            Self::Component(component) => component.component_type().imports(engine).len() > 0,
            Self::Module(module) => module.imports().len() > 0,
        }
    }

    /// Slots of the pooling allocator that an instance takes: one for each memory, and for each few of its tables.
    pub(crate) fn slots(&self) -> usize {
        let needs = match self {
            Self::Component(component) => component.resources_required(),
            Self::Module(module) => Some(module.resources_required()),
        };
        // A component that imports modules has no figures; linking refuses it.
        needs.map_or(1, |needs| {
            let tables = needs.num_tables.div_ceil(CORE_PER_INSTANCE);
            needs.num_memories.max(tables).max(1) as usize
        })
    }

    /// Bytes of the code in memory.
    pub(crate) fn size(&self) -> usize {
        let range = match self {
            Self::Component(component) => component.image_range(),
            Self::Module(module) => module.image_range(),
        };
        (range.end as usize).saturating_sub(range.start as usize)
    }

    pub(crate) fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component(component) => component.serialize(),
            Self::Module(module) => module.serialize(),
        }
    }
}
