//! Values out of a random guest memory and back into a guest, in three ways: see `bodies/direct.rs`.
//! Run: `cargo +nightly fuzz run direct -- -max_len=4096`

#![no_main]

#[path = "../bodies/direct.rs"]
mod direct;
#[path = "../bodies/stored.rs"]
mod stored;
#[path = "../bodies/types.rs"]
mod types;

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = direct::run(&mut Unstructured::new(data));
});
