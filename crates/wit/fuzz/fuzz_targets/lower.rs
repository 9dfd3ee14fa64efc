//! Any text as arguments of any type: see `bodies/lower.rs`.
//! Run: `cargo +nightly fuzz run lower -- -max_len=4096`

#![no_main]

#[path = "../bodies/lower.rs"]
mod lower;
#[path = "../bodies/types.rs"]
mod types;

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = lower::run(&mut Unstructured::new(data));
});
