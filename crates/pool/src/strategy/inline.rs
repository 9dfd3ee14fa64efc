//! `inline`: one call at a time, each with its own worker.
//!
//! | | |
//! |---|---|
//! | at rest | no worker |
//! | check-out | the caller's own task makes the worker; no other task is involved |
//! | calls at once | 1 |
//! | permit freed by | give-back, or drop of the lease or of the waiting future |
//! | staleness | none: each call gets a new worker (with a reuse count above 1, a worker stays ready for at most 30 s, and [`Pool::check_out_if`](crate::Pool::check_out_if) can reject it) |
//! | cost of a failed call or a panic | its own worker |
//! | a chain a → b → a | refused as *would deadlock*: its own ancestor holds the only permit |

use crate::strategy::{ReadyPolicy, StrategyParams, lazy};

/// The inline strategy: one call at a time. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inline;

impl Inline {
    pub(super) fn params(self) -> StrategyParams {
        StrategyParams {
            start: 1,
            max: 1,
            keep: ReadyPolicy::None,
            idle: Some(lazy::DEFAULT_IDLE_TIMEOUT),
        }
    }
}
