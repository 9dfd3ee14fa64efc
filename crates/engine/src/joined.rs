//! A component or a core module joined to the host functions of a profile: made once for all functions that have both the
//! same, since the copy of the host's definitions and the resolution of imports depend on nothing else.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crisol_core::Budget;
use wasmtime::component::InstancePre;

use crate::host::Host;
use crate::imports::{Import, Profile};
use crate::ticker::Ticks;

/// What functions of the same code and the same profile share.
pub(crate) struct Joined {
    pub(crate) pre: Pre,
    pub(crate) imports: Vec<Import>,
    /// Memory of all instances and scripts.
    pub(crate) budget: Budget,
    /// Ticks of the clock that interrupts guests.
    pub(crate) ticks: Ticks,
}

/// Code whose imports are resolved.
pub(crate) enum Pre {
    Component(InstancePre<Host>),
    Module {
        pre: wasmtime::InstancePre<Host>,
        /// Whether it is to see the folders of its entry.
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

/// The joined forms of one component or module that are in use: no more than there are functions of it.
#[derive(Default)]
pub(crate) struct InUse(Mutex<Vec<(Profile, Weak<Joined>)>>);

impl InUse {
    /// The joined form for `profile`, if there is one.
    pub(crate) fn find(&self, profile: &Profile) -> Option<Arc<Joined>> {
        let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.iter().find(|(other, _)| other == profile)?.1.upgrade()
    }

    /// Keeps what was made. Two callers may make the same at the same moment; that costs time alone.
    pub(crate) fn keep(&self, profile: &Profile, joined: &Arc<Joined>) {
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|(other, joined)| other != profile && joined.strong_count() > 0);
        in_use.push((profile.clone(), Arc::downgrade(joined)));
    }
}
