//! Integration tests: scripts that call closures in place of the runtime.

mod budget;
mod calls;
mod heavy;
mod sandbox;
mod standard;
mod support;
mod traces;
mod values;
