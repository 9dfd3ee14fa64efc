//! Integration tests: pools of fake workers, in paused time.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]
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
