//! Target of nested calls: the generation in which the outer call runs.

use std::sync::{Arc, Weak};

use crisol_core::Invoke;

/// Access to the generation of a call, for callees that make nested calls.
///
/// Each call passes it; an instance or Lua state must not keep it, since pools outlive generations.
pub(crate) trait NestedInvoke: Send {
    /// Returns the generation, unless it was dropped or is still being constructed.
    fn invoker(self) -> Option<Arc<dyn Invoke>>;
}

impl NestedInvoke for Option<Arc<dyn Invoke>> {
    fn invoker(self) -> Option<Arc<dyn Invoke>> {
        self
    }
}

impl NestedInvoke for &Weak<dyn Invoke> {
    fn invoker(self) -> Option<Arc<dyn Invoke>> {
        self.upgrade()
    }
}
