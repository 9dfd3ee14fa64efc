//! Tests of the crate's public interface: apps in, registries or problems out.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod check;
mod disk;
mod docs;
mod fields;
mod hashes;
mod hostile;
mod imports;
mod json_schema;
mod properties;
mod report;
mod rules;
mod ui;
mod user_document;
mod values;
