//! Problems of an app: message, location and fix. Knows neither YAML nor kinds; every crate reports problems
//! of entries through this module.

mod bounded_list;
mod diagnostics;
mod json;
mod list;
mod render;
mod report;

pub(crate) use diagnostics::Diagnostics;
pub use list::{Problem, Problems};
pub use render::Color;
pub(crate) use report::{Diagnostic, LocatedReport};
pub use report::{Report, Severity};
