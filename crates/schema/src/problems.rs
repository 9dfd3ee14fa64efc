//! Problems of an app: what is wrong, where it stands and what to do. Knows neither YAML nor entries'
//! kinds; every crate that finds something in an entry reports it through here.

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
