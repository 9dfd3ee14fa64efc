//! Integration tests: requests to arguments, and results to responses.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]

mod answer;
mod bind;
mod forms;
mod openapi;
mod support;
