//! Admission, queue and ready workers for any kind of job; knows nothing of WebAssembly.
//!
//! A [`Pool`] bounds how many calls run at once, lets the rest wait in order and in bounded number, and
//! has workers ready before they are asked for. It never runs a call: the caller's own task checks a
//! worker out, uses it, and gives it back with a [`Fate`], so that nothing hops between tasks or threads
//! on the way.
//!
//! ```
//! use crisol_pool::{Ask, Config, Factory, Fate, Pool, Strategy};
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
//! let mut lease = pool.check_out(Ask::new()).await?;
//! lease.push('!');
//! assert_eq!(*lease, "a fresh sheet!");
//! lease.give_back(Fate::Reuse);
//! # Ok(())
//! # }
//! ```
//!
//! What each strategy promises is on the page of its own module: [`strategy::inline`],
//! [`strategy::lazy`], [`strategy::fixed`], [`strategy::adaptive`]. What is common to all:
//!
//! - **Order.** Callers wait first come, first served. A worker that is given back goes to the front of
//!   the queue, never to a newcomer. [`Config::with_buffer`] bounds the queue; beyond it a call is
//!   refused at once.
//! - **Cancellation.** Dropping a future or a [`Lease`] at any point frees what it held: the place in the
//!   queue, the permit, the worker (which is retired, since nobody knows what state it is in).
//! - **Stopping.** [`Pool::drain`] lets calls end within a grace, then tells them to stop: those that race
//!   their work against the lease's [`Interruption`] do.
//! - **Isolation.** A worker serves [`Config::with_reuse`] calls, one unless told otherwise.
//! - **Failure.** A factory that fails or panics costs the caller that needed the worker its call and
//!   nothing else. In the background it is tried again ever more slowly.

mod check_out;
mod config;
mod demand;
mod drain;
mod factory;
mod gate;
mod interruption;
mod lease;
mod make;
mod pool;
mod queue;
mod refused;
mod state;
mod stats;
pub mod strategy;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod upkeep;

pub use check_out::Ask;
pub use config::Config;
pub use drain::Drained;
pub use factory::{Factory, Fate, Retired};
pub use interruption::Interruption;
pub use lease::Lease;
pub use pool::Pool;
pub use refused::Refused;
pub use stats::{RETIRED_REASONS, Stats, WAIT_BOUNDS, Waits};
pub use strategy::{SizeBelowWorkers, Strategy};
