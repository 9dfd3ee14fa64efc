//! Vocabulary of Crisol and its one verb.
//!
//! An [`EntryId`] names a function, a [`Signature`] says what it takes, [`Args`] carry what a caller
//! has, a [`Reply`] what came back, a [`CallError`] what went wrong. [`Invoke`] is the verb that joins
//! them: every edge (HTTP, Lua, the shell, a guest) holds an `Arc<dyn Invoke>` and nothing more, so
//! that none of them depends on the engine and each is tested with a closure.
//!
//! Nothing here runs a function, reads a file or knows WebAssembly.

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
pub use error::{BoxError, CallError, ErrorKind, ResourceLimit, Spent};
pub use id::{EntryId, EntryIdError, Name, NameError, Namespace};
pub use invoke::{Invoke, invoke_fn};
pub use message::{MAX_LINE, chain, one_line, plain, printable, shorten};
pub use rate::{LogRate, LogVerdict};
pub use reply::{Output, Reply};
pub use signature::{Case, Field, Signature, Type};
pub use trace::{Frame, Trace};
pub use value::{Value, ValueError};
