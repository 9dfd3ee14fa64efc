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
//! The root has what most programs need: the [`Runtime`] with its [`Builder`], values, errors and commands. The modules
//! have the rest by subject. Features: `http` serves apps over HTTP, `lua` runs `function.lua` entries and scripts.
//!
//! This crate is the composition root: the only library crate that knows both the registry and the engine. The
//! mechanisms (engine, pool, server, Lua …) are crates of their own, each usable alone.

#![forbid(unsafe_code)]

mod app;
mod call;
mod edit;
mod load;
mod runtime;
#[cfg(feature = "http")]
mod web;

pub use app::Generation;
pub use call::{Command, Exit};
pub use crisol_core::{
    Args, CallContext, CallError, Caller, EntryId, ErrorKind, Invoke, Reply, Value,
};
pub use crisol_wasi::Stdio;
pub use runtime::{Builder, FunctionStats, LoadError, Runtime, Snapshot};

/// Changes of a running app; see [`Runtime::apply`] and [`Runtime::reload`].
pub mod change {
    pub use crate::runtime::{Applied, ChangeError, PreparedChange};
    pub use crisol_schema::Changes;
}

/// Engine: configuration, memory, the cache of compiled code.
pub mod engine {
    pub use crisol_engine::{
        Allocation, CodeCache, CodeLimits, Digest, EngineConfig, EngineError, MaxMemory,
    };
}

/// Details of errors.
pub mod error {
    pub use crate::app::CommandNotFound;
    pub use crisol_core::{BoxError, ErrorDetails, OverBudget, Overload, ResourceLimit, Spent};
}

/// Resources that the embedding program gives to guests: interfaces, variables, folders.
pub mod host {
    pub use crisol_engine::{HostCall, HostError, HostInterface, HostInterfaceError};
    pub use crisol_wasi::{Directory, EnvError, EnvSource, FsError, FsSource};
}

/// HTTP: serving an app, and transports of the embedding program.
#[cfg(feature = "http")]
pub mod http {
    pub use crate::runtime::{Listening, Readiness, ServeError, ServeOptions, Serving};
    pub use crisol_schema::ListenAddr;
    pub use crisol_server::{Address, StartError, Stopped};
    pub use crisol_transport::{
        BadRequest, Cause, Location, Payload, Problem, Request, Response, Transport, WasiHttp,
    };
}

/// Index files: hashes and `imports`, written in place.
pub mod index {
    pub use crate::edit::{FixReport, PinError, PinReport, Pinned, RewriteError, fix, pin};
    pub use crate::load::ImportsFix;
}

/// Middleware around calls.
pub mod interceptor {
    pub use crate::call::{Interceptor, Next};
}

/// Lua scripts that call functions of an app; see [`Runtime::run_script`].
#[cfg(feature = "lua")]
pub mod lua {
    pub use crate::runtime::Script;
    pub use crisol_lua::{Failure, Level, Output, Sink};
}

/// Pools: statistics, scaling decisions, drains.
pub mod pool {
    pub use crisol_pool::strategy::adaptive::{Decision, Reason};
    pub use crisol_pool::{Drained, RETIRED_REASONS, Retired, Stats, WAIT_BOUNDS, WaitHistogram};
}

/// Registry of an app: entries, problems, the files that it is loaded from.
pub mod registry {
    pub use crate::load::{Defaults, SourcePaths};
    pub use crate::runtime::Checked;
    pub use crisol_core::Namespace;
    pub use crisol_schema::{
        Color, Entry, KindName, MAX_FOLDERS, Problem, Problems, Registry, Severity, is_index_file,
        is_searched_folder, json_schema,
    };
}

/// Signatures of functions.
pub mod signature {
    pub use crisol_core::{Case, Field, Signature, Type};
}
