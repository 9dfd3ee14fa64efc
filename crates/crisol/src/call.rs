//! The path of a call from admission to result: one pipeline for all kinds of callees, policies as interceptors, one
//! failure mapping.
//!
//! - A call enters at `callable` (functions), `command` or the HTTP handlers of `web`; `marshal` converts its
//!   arguments and result, and `interceptor` and `retry` wrap it.
//! - `pipeline` checks it in at a pool and runs its job. `deadline` computes its deadline, and `failure` maps its
//!   failures to a [`CallError`](crisol_core::CallError).
//! - `guest`, `function` and `lua` are the workers and jobs of each kind of callee. `linkage` compares the imports of a
//!   guest with its grants.
//! - `nested` gives callees their generation; `blocking` parses long text; `pools` drains all pools alike.

mod blocking;
mod callable;
mod command;
mod deadline;
mod failure;
mod function;
mod guest;
mod interceptor;
mod linkage;
#[cfg(feature = "lua")]
mod lua;
mod marshal;
mod nested;
mod pipeline;
mod pools;
mod retry;

pub use command::{Command, Exit};
pub use interceptor::{Interceptor, Next};

pub(crate) use callable::Callable;
pub(crate) use function::Function;
#[cfg(feature = "http")]
pub(crate) use guest::Worker;
pub(crate) use guest::{Export, Guest, Instances, Runs, settings};
#[cfg(feature = "http")]
pub(crate) use interceptor::InnerCall;
pub(crate) use interceptor::Interceptors;
pub(crate) use linkage::{Linkage, UnmetImport, tokens};
#[cfg(feature = "lua")]
pub(crate) use lua::{LuaFunction, States};
pub(crate) use marshal::{InvokeArgs, Marshal, RustArgs, ValueArgs, WaveArgs};
pub(crate) use nested::NestedInvoke;
pub(crate) use pipeline::Pooled;
#[cfg(feature = "http")]
pub(crate) use pipeline::{CallScope, Job};
pub(crate) use pools::{AnyPool, drain};
pub(crate) use retry::Retrying;
