//! Shared setup of the pool's tests.

use std::num::{NonZeroU32, NonZeroUsize};

use crisol_pool::testing::FakeFactory;
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, Strategy};
use tokio::runtime::{Builder, Runtime};

pub(crate) fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

pub(crate) fn reuse(config: Config, calls: u32) -> Config {
    config.with_reuse(NonZeroU32::new(calls).unwrap())
}

pub(crate) fn fixed(workers: usize, size: usize) -> Config {
    Config::new(Strategy::fixed(Some(n(workers)), Some(n(size))).unwrap())
}

/// A separate runtime with paused time.
pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Runs one call and returns the number of its worker.
pub(crate) async fn call(pool: &Pool<FakeFactory>) -> usize {
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let number = lease.number();
    lease.give_back(Disposition::Reuse);
    number
}
