//! Problems of an app: message, location and fix. Knows neither YAML nor kinds; every crate reports problems
//! of entries through this module.

mod json;
mod kept;
mod list;
mod render;
mod report;
mod sink;

pub(crate) use kept::MAX_PROBLEMS;
pub use list::{Problem, Problems};
pub use render::Color;
pub(crate) use report::{Fault, Finding, fault};
pub use report::{Report, Severity};
pub(crate) use sink::Sink;
