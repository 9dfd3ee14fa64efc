//! Parses YAML and JSON into a tree that records the location of every key and value. Limits the cost of
//! hostile input. Knows nothing of entries.

mod build;
mod node;
mod scalar;
mod tag;

pub(crate) use build::parse;
pub(crate) use node::{Data, Node, Pair};
pub(crate) use scalar::{Scalar, ScalarValue, Style, quote, shorten};
