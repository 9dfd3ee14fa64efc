//! Apps served over real sockets, asked byte by byte.
#![cfg(feature = "http")]

mod embedding;
mod funcs;
mod lua;
#[cfg(target_os = "linux")]
mod many;
mod proxy;
mod support;
