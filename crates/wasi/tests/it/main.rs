//! What reaches a guest, through the registry on one side and the WASI calls of a guest on the other.
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
