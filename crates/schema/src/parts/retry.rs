//! Retries of failed calls: `meta.options.retry`.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::decode::{Decode, DecodeContext, Int, one_of, shape};
use crate::rule::Rule;
use crate::yaml::{Data, Node};

/// Retries of a failed call, within its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Maximum number of attempts, the first one included.
    pub max_attempts: u32,
    /// Maximum delay before the second attempt.
    pub initial_delay: Duration,
    /// Maximum delay before any attempt.
    pub max_delay: Duration,
    /// Factor by which the delay grows with each attempt.
    pub backoff_factor: u32,
    /// Failures to retry.
    pub on: BTreeSet<RetryOn>,
}

/// A failure that can be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RetryOn {
    /// The queue was full, or no instance or memory was available: nothing of the call ran.
    Saturated,
    /// The function was being stopped: nothing of the call ran.
    Unavailable,
    /// The function was stopped while it ran.
    Interrupted,
    /// The guest trapped, or the script raised an error.
    Trap,
    /// The function returned an error of its own.
    Function,
}

impl Decode for RetryOn {
    const EXAMPLE: &'static str = "saturated";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let words = [
            ("saturated", Self::Saturated),
            ("unavailable", Self::Unavailable),
            ("interrupted", Self::Interrupted),
            ("trap", Self::Trap),
            ("function", Self::Function),
        ];
        one_of(node, &words, Rule::UNKNOWN_VALUE, cx)
    }
}

/// One hour, in milliseconds.
const HOUR: u64 = 3_600_000;

shape! {
    /// Retries of failed calls within the deadline, with a growing delay.
    pub(crate) struct RetryFields {
        /// Maximum number of attempts, the first one included. Default: 3.
        max_attempts: Option<Int<1, 100>>,
        /// Maximum delay before the second attempt, in milliseconds. Default: 50.
        initial_delay_ms: Option<Int<1, HOUR>>,
        /// Maximum delay before any attempt, in milliseconds. Default: 5000.
        max_delay_ms: Option<Int<1, HOUR>>,
        /// Factor by which the delay grows with each attempt. Default: 2.
        backoff_factor: Option<Int<1, 10>>,
        /// Failures to retry. Default: `[saturated, unavailable]`: nothing of the call ran. `interrupted`,
        /// `trap` and `function` run the function again, so list them only for functions that are safe to repeat.
        on: Option<Vec<RetryOn>>,
    }
}

impl Decode for Retry {
    const EXAMPLE: &'static str = "{max_attempts: 3}";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let fields = RetryFields::decode(node, cx)?;
        let default = || vec![RetryOn::Saturated, RetryOn::Unavailable];
        Some(Self {
            max_attempts: fields.max_attempts.map_or(3, |times| times.0 as u32),
            initial_delay: Duration::from_millis(fields.initial_delay_ms.map_or(50, |ms| ms.0)),
            max_delay: Duration::from_millis(fields.max_delay_ms.map_or(5000, |ms| ms.0)),
            backoff_factor: fields.backoff_factor.map_or(2, |times| times.0 as u32),
            on: fields.on.unwrap_or_else(default).into_iter().collect(),
        })
    }
}

/// Reads `meta.options.retry`; the rest of `meta` and of its `options` is free-form. The outer `None` means
/// that a problem was reported.
pub(crate) fn in_meta(meta: Option<&Node>, cx: &mut DecodeContext<'_>) -> Option<Option<Retry>> {
    let Some(options) = meta.and_then(|meta| meta.get("options")).filter(|node| !node.is_null())
    else {
        return Some(None);
    };
    if !matches!(options.data, Data::Map(_)) {
        cx.within("meta.options", |cx| cx.wrong_type(options, "a map", "{retry: {}}"));
        return None;
    }
    match options.get("retry") {
        Some(node) if !node.is_null() => {
            cx.within("meta.options.retry", |cx| Retry::decode(node, cx)).map(Some)
        }
        _ => Some(None),
    }
}

/// Returns the JSON Schema of `meta` for kinds with retries.
pub(crate) fn meta_schema() -> Value {
    let retry = json!({
        "description": "Retries of failed calls.",
        "anyOf": [{"$ref": "#/$defs/Retry"}, {"type": "null"}]
    });
    let options = json!({
        "description": "Options for calls of the function.",
        "type": ["object", "null"],
        "properties": {"retry": retry}
    });
    json!({"properties": {"options": options}})
}
