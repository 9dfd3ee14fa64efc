//! Tests of whole apps through the public API: calls, pools, changes, HTTP, the sandbox.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod attacks;
mod calls;
mod cancel;
mod code;
mod embedding;
mod every_callee;
mod funcs;
mod futures;
mod host_functions;
mod http;
mod isolation;
mod live;
mod lua;
mod memory;
mod pools;
mod refused;
mod sandbox;
mod spent;
mod support;
