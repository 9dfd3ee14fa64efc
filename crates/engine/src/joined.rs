//! Linked form of a component or core module for a profile, built once for all functions with the same code and
//! profile: the linker and the resolved imports depend on nothing else.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crisol_core::Budget;
use wasmtime::component::InstancePre;

use crate::host::Host;
use crate::imports::{Import, Profile};
use crate::ticker::Ticks;

/// State shared by functions of the same code and profile.
pub(crate) struct Joined {
    pub(crate) pre: Pre,
    pub(crate) imports: Vec<Import>,
    /// Budget for the memory of all instances and scripts.
    pub(crate) budget: Budget,
    /// Ticks of the clock that interrupts guests.
    pub(crate) ticks: Ticks,
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
pub(crate) struct InUse(Mutex<Vec<(Profile, Weak<Joined>)>>);

impl InUse {
    /// Finds the linked form for `profile`, if there is one.
    pub(crate) fn find(&self, profile: &Profile) -> Option<Arc<Joined>> {
        let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.iter().find(|(other, _)| other == profile)?.1.upgrade()
    }

    /// Stores a linked form. Two callers may build the same one concurrently, which only costs time.
    pub(crate) fn keep(&self, profile: &Profile, joined: &Arc<Joined>) {
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|(other, joined)| other != profile && joined.strong_count() > 0);
        in_use.push((profile.clone(), Arc::downgrade(joined)));
    }
}
