//! Tests of the engine with real guests: calls, limits, hostile code, stored code.

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
