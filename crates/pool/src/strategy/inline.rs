//! `inline`: one call at a time, with a worker of its own.
//!
//! | | |
//! |---|---|
//! | at rest | no worker |
//! | check-out | the caller's own task makes the worker; no other task is involved |
//! | calls at once | 1 |
//! | what frees the permit | give-back, or the lease's or the waiting future's drop |
//! | what goes stale | nothing: a worker is made for each call (with a reuse count above 1 it lies ready for at most 30 s, and [`Pool::check_out_if`](crate::Pool::check_out_if) can turn it down) |
//! | what a failed call or a panic costs | its own worker |
//! | a chain a → b → a | refused as *would deadlock*: the one permit is its own ancestor's |

use crate::strategy::{Keep, Rules, lazy};

/// One call at a time. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inline;

impl Inline {
    pub(super) fn rules(self) -> Rules {
        Rules { start: 1, max: 1, keep: Keep::Nothing, idle: Some(lazy::DEFAULT_IDLE_TIMEOUT) }
    }
}
