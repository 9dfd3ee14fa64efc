//! From nodes to types: every problem is reported and the reading goes on. Knows the rules that all
//! fields share; the types themselves are in `values` and `kinds`.

mod basic;
mod cx;
mod describe;
mod fields;

pub(crate) use basic::{FreeText, Int, Source, Text, one_of, text};
pub(crate) use cx::{Cx, Decode, Link};
pub(crate) use fields::{Fields, field_name, respelt, shape, unknown};
