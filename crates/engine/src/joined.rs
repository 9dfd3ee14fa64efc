//! A component joined to the host functions of a profile: made once for all functions that have both the
//! same, since the copy of the host's definitions and the resolution of imports depend on nothing else.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crisol_core::Budget;
use wasmtime::component::InstancePre;

use crate::compile::Compiled;
use crate::engine::Base;
use crate::host::Host;
use crate::link::{self, Import, LinkError, Profile};

/// What functions of the same code and the same profile share.
pub(crate) struct Joined {
    pub(crate) pre: InstancePre<Host>,
    pub(crate) imports: Vec<Import>,
    /// Memory of all instances and scripts.
    pub(crate) budget: Budget,
}

/// The joined forms of one component that are in use: no more than there are functions of it.
#[derive(Default)]
pub(crate) struct InUse(Mutex<Vec<(Profile, Weak<Joined>)>>);

impl InUse {
    fn find(&self, profile: &Profile) -> Option<Arc<Joined>> {
        let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.iter().find(|(other, _)| other == profile)?.1.upgrade()
    }

    /// Keeps what was made. Two callers may make the same at the same moment; that costs time alone.
    fn keep(&self, profile: &Profile, joined: &Arc<Joined>) {
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|(other, joined)| other != profile && joined.strong_count() > 0);
        in_use.push((profile.clone(), Arc::downgrade(joined)));
    }
}

/// Joins `compiled` to what `profile` grants, or finds what was made for another of its functions.
pub(crate) fn join(
    base: &Base,
    compiled: &Compiled,
    profile: &Profile,
) -> Result<Arc<Joined>, LinkError> {
    if let Some(joined) = compiled.0.joined.find(profile) {
        return Ok(joined);
    }
    let mut linker = base.everything.clone();
    let imports = link::restrict(base, &mut linker, compiled, profile)?;
    let pre = linker.instantiate_pre(&compiled.0.component).map_err(LinkError::Mismatch)?;
    let joined = Arc::new(Joined { pre, imports, budget: base.budget.clone() });
    compiled.0.joined.keep(profile, &joined);
    Ok(joined)
}
