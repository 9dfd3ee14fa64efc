//! The data of a generation: callables by id, commands, host resources, and the registry they come from.

mod assembled;
mod extensions;
mod generation;
mod not_found;
mod resources;

pub use generation::Generation;
pub use not_found::CommandNotFound;

pub(crate) use assembled::Assembled;
pub(crate) use extensions::{Binaries, Extensions};
pub(crate) use resources::HostResources;
