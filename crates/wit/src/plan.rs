//! The plan of a mapping, which lowering and lifting follow.

use std::sync::Arc;

use crisol_core::Signature;

use crate::abi::Abi;
use crate::shape::{Record, Shape};

/// All that is known of one exported function before an instance exists.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) signature: Arc<Signature>,
    pub(crate) params: Record,
    /// The params again, as the root of what lowering follows.
    pub(crate) arguments: Shape,
    pub(crate) result: Option<Shape>,
    /// Layout of values in a guest, unless they are too large for its memory.
    pub(crate) abi: Option<Abi>,
}
