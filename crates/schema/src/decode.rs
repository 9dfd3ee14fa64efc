//! Decodes nodes into types, reports every problem and continues. Has the rules that all fields share; the
//! types are in `values` and `kinds`.

mod basic;
mod cx;
mod describe;
mod fields;

pub(crate) use basic::{FreeText, Int, Source, Text, one_of, text};
pub(crate) use cx::{Cx, Decode, Link};
pub(crate) use fields::{Fields, field_name, respelt, shape, unknown};
