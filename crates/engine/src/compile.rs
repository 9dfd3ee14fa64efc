//! Compiled components and core modules, shared between equal bytes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::Component;

use crate::call_graph::ReachableImports;
use crate::config::VariantKey;
use crate::digest::Digest;
use crate::machine_code::MachineCode;
use crate::pre_cache::PreCache;
use crate::program::Program;
use crate::reachability::Reachability;

/// A component or core module as machine code, shared by all functions that use the same bytes.
#[derive(Clone)]
pub struct Compiled(pub(crate) Arc<Code>);

pub(crate) struct Code {
    pub(crate) digest: Digest,
    pub(crate) key: VariantKey,
    pub(crate) program: Arc<Program>,
    pub(crate) reachability: Reachability,
    pub(crate) pre_cache: PreCache,
}

impl Code {
    /// The component, or `None` for a core module.
    pub(crate) fn component(&self) -> Option<&Component> {
        match self.program.first() {
            MachineCode::Component(component) => Some(component),
            MachineCode::Module(_) => None,
        }
    }
}

impl Compiled {
    /// The hash of the bytes this was compiled from.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The imports that an export may call, top-level or in an interface. `None` if that was not computed, which is
    /// left to a [`CallGraph`](crate::CallGraph) for code with many exports.
    #[must_use]
    pub fn reachable(&self, interface: Option<&str>, name: &str) -> Option<ReachableImports> {
        self.0.reachability.reachable(interface, name)
    }

    /// Returns true if both refer to the same machine code.
    #[must_use]
    pub fn shares_code_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compiled").field(&self.0.digest).finish()
    }
}

/// Reason that bytes could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The bytes are not a component or core module, or are malformed.
    #[error("the code is not valid")]
    Invalid(#[source] wasmtime::Error),
    /// The code uses proposals of WebAssembly that the engine does not run.
    #[error("the code uses {0}, which this engine does not run")]
    Unsupported(crate::Unsupported),
    /// The compiler panicked: a bug in the compiler that these bytes trigger.
    #[error("the compiler panicked on the code, which is a bug in the compiler")]
    Compiler,
    /// The code is larger than the engine's [`CodeLimits`](crate::CodeLimits) allow.
    #[error(transparent)]
    TooLarge(#[from] crate::TooLarge),
    /// An engine for this kind of function could not be set up.
    #[error(transparent)]
    Engine(#[from] crate::EngineError),
}

/// Cache key: the digest, and `true` for code that counts instructions, which is compiled separately.
type Key = (Digest, bool);

/// Cache of compiled code, held weakly: an entry lives as long as its users.
pub(crate) struct Cache<T = Code>(Mutex<HashMap<Key, Arc<Slot<T>>>>);

/// Locked while its code is compiled.
type Slot<T> = Mutex<Weak<T>>;

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cache<T> {
    /// Returns the cached value for `key`, or makes it with `make`. Concurrent callers with the same key wait
    /// for the first one.
    pub(crate) fn get<E>(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let slot = self.slot(key);
        let mut kept = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alive) = kept.upgrade() {
            return Ok(alive);
        }
        let made = Arc::new(make()?);
        *kept = Arc::downgrade(&made);
        Ok(made)
    }

    fn slot(&self, key: Key) -> Arc<Slot<T>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        // A locked slot is being filled.
        slots.retain(|_, slot| slot.try_lock().map_or(true, |code| code.strong_count() > 0));
        Arc::clone(slots.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::thread;

    use super::*;

    #[test]
    fn concurrent_compiles_of_equal_bytes_are_shared() {
        let (cache, made) = (Cache::<usize>::default(), AtomicUsize::new(0));
        let key = |of: &[u8]| (Digest::of(of), false);
        let get = |of: &[u8]| cache.get(key(of), || Ok::<_, ()>(made.fetch_add(1, Relaxed)));
        let all: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| get(b"one"))).collect();
            asking.into_iter().map(|asked| asked.join().unwrap().unwrap()).collect()
        });
        assert!(all.iter().all(|code| **code == 0));
        assert_eq!(made.load(Relaxed), 1);
        drop(all);
        // Unused code is dropped; a failed compile is retried.
        assert_eq!(get(b"one"), Ok(Arc::new(1)));
        assert_eq!(cache.get(key(b"two"), || Err(7)), Err(7));
        assert_eq!(get(b"two"), Ok(Arc::new(2)));
        assert_eq!(cache.0.lock().unwrap().len(), 1);
    }
}
