//! The generation that a call is in, as the destination of the calls that it makes.

use std::sync::{Arc, Weak};

use crisol_core::Invoke;

/// Gives the generation that a call is in. Asked only by callees that make calls.
///
/// Handed over for each call and not kept by an instance or a Lua state: pools outlive generations.
pub(crate) trait Within: Send {
    /// The generation, unless it is gone or still being made.
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
