//! WASI configuration: a guest's variables, folders, peers and standard streams, from the registry to a WASI context.
//!
//! Nothing is inherited from the host process: a guest sees what its entry names and no more. The work is split by
//! moment. [`Folders`] and [`Variables`] open an app's declarations, once. [`resolve`] makes a [`Plan`] of one
//! function's configuration, once per entry. [`Plan::environment`] and [`Plan::build`] do the rest, for each call.
//!
//! Independent of instances, pools and calls.

#![forbid(unsafe_code)]

mod call_scope;
mod cwd;
mod directory;
mod dotenv;
mod env_file;
mod error;
mod folders;
mod guest_log;
mod network;
mod path_base;
mod plan;
mod public;
mod stdio;
mod terminal;
mod variables;

pub use call_scope::with_call;
pub use directory::Directory;
pub use error::{EnvError, FsError, PlanError};
pub use folders::{Folders, FsSource, MissingFiles};
pub use guest_log::{GUEST_LOG, GuestLog};
pub use network::{PeerError, Peers, Resolver, SystemResolver};
pub use plan::{Environment, Plan, resolve};
pub use stdio::{Stdio, Streams};
pub use variables::{EnvSource, Variables};
