//! Plan of a mapping, followed by lowering and lifting.

use std::sync::Arc;

use crisol_core::Signature;

use crate::abi::Abi;
use crate::shape::{Record, Shape};

/// Types of one exported function, known before an instance exists.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) signature: Arc<Signature>,
    pub(crate) params: Record,
    /// Parameters again, as the root shape of lowering.
    pub(crate) arguments: Shape,
    pub(crate) result: Option<Shape>,
    /// Layout of values in a guest; `None` when they are too large for its memory.
    pub(crate) abi: Option<Abi>,
}
