//! Decodes nodes into types, reports every problem and continues. Has the rules that all fields share; the
//! types are in `values` and `kinds`.

mod basic;
mod context;
mod describe;
mod fields;

pub(crate) use basic::{InlineOrFile, Int, ScalarText, Text, one_of, text};
pub(crate) use context::{Decode, DecodeContext, Reference};
pub(crate) use fields::{Fields, correct_misspelt, field_name, report_unknown_field, shape};
