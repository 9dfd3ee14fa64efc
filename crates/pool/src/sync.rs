//! The lock of the pool. An exploration test replaces this module with a scheduler's lock.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
