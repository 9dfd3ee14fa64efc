//! Integration tests: scripts that call closures in place of the runtime.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod budget;
mod calls;
mod heavy;
mod sandbox;
mod standard;
mod support;
mod traces;
mod values;
