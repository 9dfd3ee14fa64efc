//! Sandbox tests with real guests in whole apps: guests reach nothing but what their entries name.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod asynchronous;
mod environment;
mod files;
mod floods;
mod network;
mod output;
mod preview1;
mod support;
mod versions;
mod words;
