//! Durations with their unit: `30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::form::{InvalidValue, text_value};
use crate::rule::Rule;
use crate::yaml::quote;

/// A duration from one millisecond to 24 hours, written `500ms`, `30s`, `5m` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval(pub(crate) Duration);

impl FromStr for Interval {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let length = digits.parse::<u64>().ok().zip(factor).and_then(|(n, by)| n.checked_mul(by));
        match length {
            Some(millis @ 1..=86_400_000) => Ok(Self(Duration::from_millis(millis))),
            Some(_) => Err(InvalidValue::new(
                Rule::BAD_RANGE,
                format!("{} is out of range", quote(text)),
                "write a duration from `1ms` to `24h`",
            )),
            None => Err(InvalidValue::new(
                Rule::BAD_FORM,
                format!("{} is not a duration", quote(text)),
                "write a whole number and its unit, such as `500ms`, `30s`, `5m` or `1h`",
            )),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

text_value!(Interval, "a duration with a unit", "30s", { "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" });
