//! HTTP tests of whole apps over real sockets, with control over every byte.
#![cfg(feature = "http")]

mod bodies;
mod embedding;
mod funcs;
mod limits;
mod lua;
mod many;
mod proxy;
mod support;
