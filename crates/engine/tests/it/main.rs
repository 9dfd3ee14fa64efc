//! Tests of the engine with real guests: calls, limits, hostile code, stored code.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod attacks;
mod calls;
mod concurrent;
mod core_modules;
mod core_preview1;
mod core_values;
mod host;
mod host_functions;
mod hostile;
mod kept;
mod load;
mod memory;
mod outgoing;
mod support;
mod types;
