//! Admission, queueing and ready workers for any kind of job, independent of WebAssembly.
//!
//! A [`Pool`] bounds the number of calls that run at once, queues a bounded number of further calls in order, and
//! makes workers ahead of time. It never runs a call: the caller's own task checks a worker out, uses it, and gives
//! it back with a [`Disposition`]. A call therefore never moves between tasks or threads.
//!
//! ```
//! use crisol_pool::{CheckoutOptions, Config, Factory, Disposition, Pool, Strategy};
//!
//! struct Sheets;
//!
//! impl Factory for Sheets {
//!     type Worker = String;
//!     type Error = std::io::Error;
//!
//!     async fn make(&self) -> Result<String, std::io::Error> {
//!         Ok(String::from("a fresh sheet"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::new(Sheets, Config::new(Strategy::inline()));
//! let mut lease = pool.check_out(CheckoutOptions::new()).await?;
//! lease.push('!');
//! assert_eq!(*lease, "a fresh sheet!");
//! lease.give_back(Disposition::Reuse);
//! # Ok(())
//! # }
//! ```
//!
//! The page of each strategy's module states its guarantees: [`strategy::inline`], [`strategy::lazy`],
//! [`strategy::fixed`], [`strategy::adaptive`]. All strategies have in common:
//!
//! - **Order.** Callers are served first come, first served. A returned worker goes to the caller at the front of
//!   the queue, never to a newcomer. [`Config::with_buffer`] bounds the queue; a call beyond it is refused at once.
//! - **Cancellation.** Dropping a future or a [`Lease`] at any point frees everything that it held: its place in
//!   the queue, its permit, and its worker, which is retired because its state is unknown.
//! - **Stopping.** [`Pool::drain`] lets calls end within a grace and then asks them to stop. Calls that race their
//!   work against the lease's [`Interruption`] do.
//! - **Isolation.** A worker serves [`Config::with_reuse`] calls, one by default.
//! - **Failure.** A factory that fails or panics fails only the call that needed the worker. In the background, it
//!   is retried with growing pauses.

#![forbid(unsafe_code)]

mod check_out;
mod config;
mod demand;
mod drain;
mod error;
mod factory;
mod gate;
mod interruption;
mod lease;
mod maintenance;
mod make;
mod pool;
mod queue;
mod state;
mod stats;
pub mod strategy;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use check_out::CheckoutOptions;
pub use config::Config;
pub use drain::Drained;
pub use error::PoolError;
pub use factory::{Disposition, Factory, Retired};
pub use interruption::Interruption;
pub use lease::Lease;
pub use pool::Pool;
pub use stats::{RETIRED_REASONS, Stats, WAIT_BOUNDS, WaitHistogram};
pub use strategy::{SizeBelowWorkers, Strategy};
