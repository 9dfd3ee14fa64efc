//! The generation of a call, which is the target of its nested calls.

use std::sync::{Arc, Weak};

use crisol_core::Invoke;

/// Source of the generation that a call runs in, for callees that make nested calls.
///
/// It is passed with each call; an instance or Lua state must not keep it, since pools outlive generations.
pub(crate) trait Within: Send {
    /// Returns the generation, unless it was dropped or is still being constructed.
    fn invoke(self) -> Option<Arc<dyn Invoke>>;
}

impl Within for Option<Arc<dyn Invoke>> {
    fn invoke(self) -> Option<Arc<dyn Invoke>> {
        self
    }
}

impl Within for &Weak<dyn Invoke> {
    fn invoke(self) -> Option<Arc<dyn Invoke>> {
        self.upgrade()
    }
}
