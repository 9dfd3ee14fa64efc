//! Features of third-party crates, unified for builds within this workspace. It has no code.
