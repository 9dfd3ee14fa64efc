//! YAML and JSON text into a tree in which every key and value knows its place. Bounds what a hostile
//! text can cost. Knows nothing of entries.

mod build;
mod node;
mod scalar;
mod tag;

pub(crate) use build::parse;
pub(crate) use node::{Data, Node, Pair};
pub(crate) use scalar::{Natural, Scalar, Style, quote, shorten};
