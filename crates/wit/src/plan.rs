//! Plan of a mapping, followed by lowering and lifting.

use std::ops::Deref;
use std::sync::Arc;

use crisol_core::Signature;

use crate::abi::Abi;
use crate::shape::{Record, Shape};

/// Reference to a plan, behind an `Arc` of its own: each call counts several references, and threads that share the
/// count wait for each other.
#[derive(Debug)]
pub(crate) struct PlanRef(Arc<Plan>);

impl PlanRef {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self(Arc::new(plan)))
    }

    /// Refers to the same plan with another count.
    pub(crate) fn lane(&self) -> Arc<Self> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

impl Deref for PlanRef {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

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
