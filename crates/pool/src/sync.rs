//! The one lock the pool is built on; its exploration test swaps this module for a scheduler's own lock.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
