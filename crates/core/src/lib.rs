//! Vocabulary of Crisol, and the trait by which functions are called.
//!
//! An [`EntryId`] names a function and a [`Signature`] describes its types. [`Args`] carry a caller's arguments, a
//! [`Reply`] the result, a [`CallError`] the failure. [`Invoke`] joins them: every edge (HTTP, Lua, the shell, a
//! guest) holds only an `Arc<dyn Invoke>`, so none depends on the engine, and each can be tested with a closure.
//!
//! This crate runs no function, reads no file and does not depend on WebAssembly.

#![forbid(unsafe_code)]

mod args;
mod budget;
mod context;
mod error;
mod id;
mod invoke;
mod message;
mod rate;
mod reply;
mod signature;
pub mod suggest;
mod trace;
mod value;

pub use args::{Args, ArgsError};
pub use budget::{Budget, OverBudget, Reservation};
pub use context::{CallContext, CallId, Caller, Chain, MAX_DEPTH};
pub use error::{BoxError, CallError, ErrorDetails, ErrorKind, Overload, ResourceLimit, Spent};
pub use id::{EntryId, EntryIdError, Name, NameError, Namespace};
pub use invoke::{Invoke, invoke_fn};
pub use message::{MAX_LINE, chain, one_line, plain, printable, shorten};
pub use rate::{LogRate, LogVerdict};
pub use reply::{Output, Reply};
pub use signature::{Case, Field, Signature, Type};
pub use trace::{Frame, Trace};
pub use value::{Value, ValueError};
