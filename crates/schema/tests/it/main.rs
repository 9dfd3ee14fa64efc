//! Tests of the crate's public interface: apps in, registries or problems out.

mod check;
mod declare;
mod disk;
mod docs;
mod fields;
mod hostile;
mod json_schema;
mod pin;
mod properties;
mod report;
mod rules;
mod ui;
mod user_document;
mod values;
