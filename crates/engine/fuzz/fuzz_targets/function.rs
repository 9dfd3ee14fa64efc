//! Any bytes as the code of a function: see `bodies/function.rs`.
//!
//! Run: `cargo +nightly fuzz run function -- -max_len=16384 -rss_limit_mb=3072 -timeout=60`

#![no_main]

#[path = "../bodies/function.rs"]
mod function;
#[path = "../bodies/sample.rs"]
mod sample;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = function::run(data, Duration::from_millis(20));
});
