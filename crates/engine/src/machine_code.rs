//! Machine code as wasmtime holds it.

use wasmtime::Module;
use wasmtime::component::Component;

/// Machine code by its kind.
pub(crate) enum MachineCode {
    Component(Component),
    Module(Module),
}

impl MachineCode {
    pub(crate) fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component(component) => component.serialize(),
            Self::Module(module) => module.serialize(),
        }
    }
}
