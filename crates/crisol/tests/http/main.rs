//! Apps served over real sockets, asked byte by byte.
#![cfg(feature = "http")]

mod bodies;
mod embedding;
mod funcs;
mod limits;
mod lua;
mod proxy;
mod support;
