//! Serde for WIT: values of any serde source become component values, and results go out into any
//! serde format or Rust type, by a plan made once per exported function.
//!
//! Core modules become components here too ([`wrap`]), so that there is one path to call them by.
//! Nothing here compiles, instantiates or calls.

mod code;
mod describe;
mod error;
mod lift;
mod lower;
mod mapping;
mod names;
mod shape;
mod wave;
mod wrap;

pub use code::{CodeError, Kind, TextError, parse_code, parse_text};
pub use describe::UnsupportedType;
pub use error::{Found, LiftError, LowerError, Mismatch, Place, Segment};
pub use lift::{Lifted, Outcome};
pub use mapping::Mapping;
pub use names::kebab;
pub use wrap::{WrapError, wrap};
