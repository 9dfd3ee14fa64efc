//! Integration tests: pools of fake workers, in paused time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod adaptive;
mod admission;
mod allocations;
mod cancellation;
mod controller;
mod drain;
mod hostile;
mod maintenance;
mod model;
mod simulation;
mod support;
mod workers;
