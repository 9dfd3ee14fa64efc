//! Integration tests: requests to arguments, and results to responses.

mod answer;
mod bind;
mod forms;
mod openapi;
mod support;
