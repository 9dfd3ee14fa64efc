//! Integration tests: requests to arguments, and results to responses.

mod answer;
mod bind;
mod docs;
mod forms;
mod openapi;
mod support;
