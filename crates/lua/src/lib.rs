//! The Lua edge of Crisol: sandboxed states, and the modules by which their scripts call functions.
//!
//! ```lua
//! local funcs = require("funcs")
//! local result, err = funcs.call("myns:compute", 6, 7)
//! ```
//!
//! A [`Program`] is the text of a script and what it may use. It makes [`State`]s: a script that has been
//! run up to its `return`, ready to be called, in a Lua of its own. A state has no files, no processes, no
//! `debug`, no bytecode and no packages but the modules that it was given; it is stopped at its deadline
//! whatever it does, and holds no more memory than it may. While it waits, no thread does; while it computes, it is on a
//! thread that serves nobody else.
//!
//! What this crate does not know: entries, pools, engines. Calls go to an
//! [`Invoke`](crisol_core::Invoke) that comes with each call of the state.

mod allowance;
mod call;
mod failure;
mod gate;
mod host;
mod method;
mod modules;
mod offload;
mod output;
mod pattern;
mod program;
mod state;
mod trace;
mod turn;
mod turns;
mod values;

pub use call::Call;
pub use failure::Failure;
pub use modules::Module;
pub use output::{Level, Output, Sink};
pub use program::{Entry, Program};
pub use state::State;
pub use turns::Turns;
