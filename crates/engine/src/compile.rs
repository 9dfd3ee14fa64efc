//! Compiled components, one for equal bytes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::config::Flavour;
use crate::joined::InUse;

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A component in machine code, shared by all functions that use the same bytes.
#[derive(Clone)]
pub struct Compiled(pub(crate) Arc<Code>);

pub(crate) struct Code {
    pub(crate) digest: Digest,
    pub(crate) flavour: Flavour,
    pub(crate) component: Component,
    pub(crate) joined: InUse,
}

impl Compiled {
    /// The hash of the bytes this was compiled from.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Whether two are one and the same machine code.
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

/// Why bytes could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The bytes are a component that is malformed, or uses features that the engine does not run.
    #[error("the component is not valid")]
    Invalid(#[source] wasmtime::Error),
    /// The compiler panicked: a mistake of its own, which the bytes brought out.
    #[error("the compiler failed on the component, which is a mistake of the compiler's")]
    Compiler,
    /// The component is larger than the engine's [`CodeLimits`](crate::CodeLimits) allow.
    #[error(transparent)]
    TooLarge(#[from] crate::TooLarge),
    /// An engine for this kind of function could not be set up.
    #[error(transparent)]
    Engine(#[from] crate::EngineError),
}

/// Equal bytes are compiled anew when instructions are to be counted.
type Key = (Digest, bool);

/// Remembers what has been compiled for as long as someone uses it.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<Key, Weak<Code>>>);

impl Cache {
    pub(crate) fn find(&self, key: Key) -> Option<Compiled> {
        let alive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        alive.get(&key).and_then(Weak::upgrade).map(Compiled)
    }

    /// Keeps what was compiled. Two callers that ask for new bytes at the same moment may both compile; the
    /// first to finish is kept by both.
    pub(crate) fn keep(&self, key: Key, code: Code) -> Compiled {
        let mut alive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = alive.get(&key).and_then(Weak::upgrade) {
            return Compiled(earlier);
        }
        alive.retain(|_, code| code.strong_count() > 0);
        let code = Arc::new(code);
        alive.insert(key, Arc::downgrade(&code));
        Compiled(code)
    }
}
