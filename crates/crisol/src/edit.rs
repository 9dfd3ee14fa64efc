//! Edits of an app's index files: hashes and `imports`, written in place.

mod fix;
mod pin;
mod rewrite;

pub use fix::{FixReport, fix};
pub use pin::{PinError, PinReport, Pinned, pin};
pub use rewrite::RewriteError;
