//! Types for the texts and numbers of the file format. Every value of these types is valid.

mod form;
mod hash;
mod http;
mod import;
mod listen;
mod method;
mod names;
mod network;
mod path;
mod shape;
mod time;

pub use form::InvalidValue;
pub use hash::Sha256Hash;
pub use http::{HttpMethod, PathPrefix, RoutePath, Segment};
pub use import::{ImportToken, Imports, Package};
pub(crate) use import::{canonical, without_version};
pub(crate) use listen::AddressSet;
pub use listen::ListenAddr;
pub use method::Method;
pub(crate) use names::HeaderName;
pub use names::{CommandName, EnvName, FileMode};
pub use network::{HostPattern, Network, NetworkRule, PortPattern};
pub use path::{DirectoryPath, FsPath, GuestPath};
pub use shape::RouteShape;
pub(crate) use time::Interval;
