//! Access of a guest to its surroundings, from the registry to the guest's WASI calls.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod folders;
mod mounts;
mod network;
mod page;
mod plan;
mod stdio;
mod support;
mod variables;
