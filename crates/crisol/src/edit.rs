//! Edits of an app's index files, in place: hashes and `imports`.

mod fix;
mod pin;
mod rewrite;

pub use fix::{FixReport, fix};
pub use pin::{PinError, PinReport, Pinned, pin};
pub use rewrite::RewriteError;
