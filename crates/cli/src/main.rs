//! The `crisol` program.
fn main() {}
