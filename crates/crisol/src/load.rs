//! Loading: makes the data of a generation from a validated registry.

mod assemble;
mod code;
mod code_store;
mod defaults;
mod field_error;
mod guest;
mod guest_entry;
mod imports;
mod kinds;
mod loader;
mod loading;
mod pool;
mod required;
mod reuse;
mod source_paths;
mod unused;

pub use defaults::Defaults;
pub use imports::ImportsFix;
pub use source_paths::SourcePaths;

pub(crate) use assemble::assemble;
pub(crate) use code::MAX_CODE_BYTES;
pub(crate) use loader::loader;
pub(crate) use loading::{Inputs, Loaded};
