//! Lua edge of Crisol: sandboxed states, and the modules through which scripts call functions.
//!
//! ```lua
//! local funcs = require("funcs")
//! local result, err = funcs.call("myns:compute", 6, 7)
//! ```
//!
//! A [`Program`] is the text of a script with its modules and limits. It creates [`State`]s: a state has run
//! the script up to its `return` in a Lua instance of its own, and is ready to be called. A state has no
//! files, no processes, no `debug`, no bytecode and no packages except its modules. It stops at its deadline
//! and stays within its memory limit, whatever the script does. A waiting state blocks no thread; a computing
//! state runs on a thread that serves nothing else.
//!
//! This crate does not know entries, pools and engines. Calls go to the [`Invoke`](crisol_core::Invoke) that
//! comes with each call of a state.

#![forbid(unsafe_code)]

mod call;
mod chunk;
mod clock;
mod failure;
mod host;
mod memory;
mod method;
mod modules;
mod offload;
mod output;
mod pattern;
mod program;
mod state;
mod trace;
mod turn;
mod turn_limit;
mod values;

pub use call::Call;
pub use failure::Failure;
pub use modules::Module;
pub use output::{Level, Output, Sink};
pub use program::{EntryPoint, Program};
pub use state::State;
pub use turn_limit::TurnLimit;
