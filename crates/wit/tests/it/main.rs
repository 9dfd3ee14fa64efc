//! Mapping of values: round trips over generated types, exact texts of errors, and comparison with other
//! implementations.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod bindings;
mod core_modules;
mod direct;
mod edges;
mod formats;
mod fuzzed;
mod golden;
mod hostile;
mod json_text;
mod malformed;
mod memory;
mod messages;
mod odd;
mod round_trip;
mod sources;
mod support;
mod suspended;
mod types;
mod wave;
mod wrapping;
