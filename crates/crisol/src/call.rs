//! The path of a call from admission to result: one pipeline for all kinds of workers, policies as interceptors,
//! one failure mapping.

mod aside;
mod callable;
mod command;
mod deadline;
mod failure;
mod form;
mod function;
mod guest;
mod interceptor;
mod linkage;
#[cfg(feature = "lua")]
mod lua;
mod pipeline;
mod pools;
mod retry;
mod within;

pub use command::{Command, Exit};
pub use interceptor::{Interceptor, Next};

pub(crate) use callable::Callable;
pub(crate) use form::{Arguments, Form, Rust, Tree, Wave};
pub(crate) use function::Function;
#[cfg(feature = "http")]
pub(crate) use guest::Worker;
pub(crate) use guest::{Export, Guest, Instances, Runs, settings};
pub(crate) use interceptor::Interceptors;
#[cfg(feature = "http")]
pub(crate) use interceptor::Last;
pub(crate) use linkage::{Linkage, Want, tokens};
#[cfg(feature = "lua")]
pub(crate) use lua::{LuaFunction, States};
pub(crate) use pipeline::Pooled;
#[cfg(feature = "http")]
pub(crate) use pipeline::{Job, Turn};
pub(crate) use pools::{AnyPool, drain};
pub(crate) use retry::Retrying;
pub(crate) use within::Within;
