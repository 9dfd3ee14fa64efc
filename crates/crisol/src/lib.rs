//! Runs WebAssembly and Lua functions that a YAML registry declares: compiled once, pooled, limited, sandboxed.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = crisol::Runtime::builder().app("docs/examples/tour").load()?;
//! let product: i32 = runtime.call("myns:compute", (6, 7)).await?;
//! assert_eq!(product, 42);
//! # Ok(())
//! # }
//! ```
//!
//! This crate is the composition root: the only library crate that knows both the registry and the engine. The
//! mechanisms (engine, pool, server, Lua …) are crates of their own, each usable alone.

#![forbid(unsafe_code)]

mod app;
mod call;
mod edit;
#[cfg(feature = "http")]
mod http;
mod load;
mod runtime;

pub use app::{CommandNotFound, Generation};
pub use call::{Command, Exit, Interceptor, Next};
pub use edit::{FixReport, PinError, PinReport, Pinned, RewriteError, fix, pin};
pub use load::{Defaults, ImportsFix, Reads};
pub use runtime::{
    Applied, Builder, ChangeError, Checked, LoadError, PreparedChange, Runtime, Script, Snapshot,
};
#[cfg(feature = "http")]
pub use runtime::{Listening, Readiness, ServeError, ServeOptions, Serving};

pub use crisol_core::{
    Args, BoxError, CallContext, CallError, CallId, Caller, EntryId, ErrorDetails, ErrorKind,
    Invoke, Namespace, OverBudget, Overload, Reply, Signature, Spent, Type, Value,
};
pub use crisol_engine::{
    Allocation, CodeCache, CodeLimits, Digest, EngineConfig, EngineError, MaxMemory,
};
pub use crisol_engine::{HostCall, HostError, HostInterface, HostInterfaceError};
pub use crisol_lua::{
    Failure as ScriptError, Level as LineLevel, Output as LineOutput, Sink as LineSink,
};
pub use crisol_pool::strategy::adaptive::{Decision, Reason};
pub use crisol_pool::{Drained, Retired, Stats};
pub use crisol_schema::{
    Changes, Color, ListenAddr, MAX_FOLDERS, Problem, Problems, Severity, is_index_file,
    is_searched_folder, json_schema,
};
#[cfg(feature = "http")]
pub use crisol_server::{Address, StartError, Stopped};
#[cfg(feature = "http")]
pub use crisol_transport::{
    BadRequest, Cause, Payload, Place as RequestPlace, Problem as HttpProblem,
    Request as HttpRequest, Response as HttpResponse, Transport, WasiHttp,
};
pub use crisol_wasi::Stdio;
pub use crisol_wasi::{Directory, EnvError, EnvSource, FsError, FsSource};
