//! Wasmtime, narrowed to what Crisol uses: compile, link, instantiate, call, limit.
//!
//! The path of a function through this crate:
//!
//! - [`Engine::compile`] turns the bytes of a component or a core module into a [`Compiled`], once for equal bytes;
//! - [`Engine::link`], or [`Engine::link_core`], links it with the host functions that [`Grants`] list, resolves
//!   its method and returns a [`FunctionPre`], with all work done that is possible before a call;
//! - [`FunctionPre::instantiate`] makes a fresh [`Instance`] around a WASI context;
//! - [`Instance::call`] runs the method once, within a deadline and [`Limits`].
//!
//! This crate knows no YAML, entries, pools, env or mounts. Its inputs are bytes, a set of interface names and a
//! finished WASI context; its outputs are values and errors.

mod allocation;
mod aot;
mod call_graph;
mod capability;
mod compile;
mod config;
mod core_module;
mod denied;
mod digest;
mod engine;
mod exports;
mod failure;
mod host;
mod imports;
mod inspect;
mod instance;
mod limits;
mod link;
mod link_error;
mod machine_code;
mod memory;
mod outgoing;
mod output;
mod placement;
mod poll_timer;
mod pre_cache;
mod program;
mod proxy;
mod reachability;
mod releases;
mod shards;
mod state;
mod stubs;
mod ticker;
mod unsupported;
mod variant;

pub use allocation::Allocation;
pub use aot::CodeCache;
pub use call_graph::{CallGraph, ReachableImports};
pub use capability::{
    Funcs, HostCall, HostError, HostInterface, HostInterfaceError, built_in_interfaces,
};
pub use compile::{CompileError, Compiled};
pub use config::{EngineConfig, EngineError};
pub use denied::Denial;
pub use digest::Digest;
pub use engine::Engine;
pub use exports::{Export, MethodError};
pub use failure::Failure;
pub use host::InstanceContext;
pub use imports::{CoreImport, Grants, Import};
pub use inspect::{CodeLimits, TooLarge};
pub use instance::Instance;
pub use limits::Limits;
pub use link::FunctionPre;
pub use link_error::LinkError;
pub use memory::MaxMemory;
pub use outgoing::{OutboundPolicy, OutgoingHttp, Unreachable};
pub use proxy::{ProxyAnswer, ProxyBody, ProxyError, ProxyPre};
pub use state::EntrySettings;
pub use unsupported::Unsupported;

/// A component value: the result of lowering, argument and result of a call, and the input of lifting.
pub use wasmtime::component::Val;
