//! The runtime: configured by a builder, one current generation at a time; reload, serve, drain.

mod builder;
mod change;
#[cfg(feature = "http")]
mod edge;
mod handle;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "lua")]
mod script;
#[cfg(feature = "http")]
mod serve;
mod settings;

pub use builder::Builder;
pub use change::{Applied, ChangeError, PreparedChange};
#[cfg(feature = "http")]
pub use edge::{Listening, ServeError, ServeOptions};
pub use handle::{FunctionStats, Runtime, Snapshot};
#[cfg(feature = "lua")]
pub use script::Script;
#[cfg(feature = "http")]
pub use serve::{Readiness, Serving};
pub use settings::{Checked, LoadError};
