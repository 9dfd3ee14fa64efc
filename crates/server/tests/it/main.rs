//! Integration tests: real sockets in front of functions without a guest.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod bodies;
mod compress;
mod docs;
mod drain;
mod files;
mod heads;
mod hostile;
mod hostile_bodies;
mod hostile_http2;
mod limits;
mod listen;
mod log;
mod middleware;
mod serve;
mod stop;
mod support;
mod targets;
mod tls;
mod unread;
