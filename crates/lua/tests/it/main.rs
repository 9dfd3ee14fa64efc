//! Scripts over closures in place of the runtime.

mod calls;
mod sandbox;
mod standard;
mod support;
mod values;
