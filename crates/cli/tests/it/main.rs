//! Tests of the program as its users start it: arguments, output, exit codes, sockets, signals.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod arguments;
mod capabilities;
mod check;
mod commands;
mod errors;
mod fix;
mod listen;
mod memory;
mod outside;
mod pin;
mod reload;
mod run;
mod serve;
mod stderr;
mod support;
mod tour;
mod untouched;
