//! `meta.options.retry`: calling again when a call could not be begun.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::decode::{Cx, Decode, Int, one_of, shape};
use crate::rule::Rule;
use crate::yaml::{Data, Node};

/// How a call that failed is made again, within its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often the function is called in all.
    pub max_attempts: u32,
    /// What is waited before the second attempt, at most.
    pub initial_delay: Duration,
    /// What is ever waited before an attempt, at most.
    pub max_delay: Duration,
    /// How many times as long each wait is as the one before.
    pub backoff_factor: u32,
    /// The failures that are tried again.
    pub on: BTreeSet<RetryOn>,
}

/// A failure that can be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RetryOn {
    /// Too many calls waited, or no instance was to be had: nothing of the call ran.
    Saturated,
    /// The function was being stopped: nothing of the call ran.
    Unavailable,
    /// The guest trapped, or the script raised an error.
    Trap,
    /// The function answered with its own error.
    Function,
}

impl Decode for RetryOn {
    const EXAMPLE: &'static str = "saturated";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let words = [
            ("saturated", Self::Saturated),
            ("unavailable", Self::Unavailable),
            ("trap", Self::Trap),
            ("function", Self::Function),
        ];
        one_of(node, &words, Rule::UNKNOWN_VALUE, cx)
    }
}

/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;

shape! {
    /// Calls that failed are made again, each wait longer than the one before, within the deadline.
    pub(crate) struct RetryFields {
        /// How often the function is called in all. Default: 3.
        max_attempts: Option<Int<1, 100>>,
        /// The longest wait before the second attempt, in milliseconds. Default: 50.
        initial_delay_ms: Option<Int<1, HOUR>>,
        /// The longest wait before any attempt, in milliseconds. Default: 5000.
        max_delay_ms: Option<Int<1, HOUR>>,
        /// How many times as long each wait is as the one before. Default: 2.
        backoff_factor: Option<Int<1, 10>>,
        /// What is tried again. Default: `[saturated, unavailable]`, where nothing of the call had run. `trap` and
        /// `function` run the function a second time: they are for functions of which that is no harm.
        on: Option<Vec<RetryOn>>,
    }
}

impl Decode for Retry {
    const EXAMPLE: &'static str = "{max_attempts: 3}";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
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

/// What `meta` says of retrying; the rest of it, and of its `options`, is free. The outer `None` means that it is
/// wrong.
pub(crate) fn in_meta(meta: Option<&Node>, cx: &mut Cx<'_>) -> Option<Option<Retry>> {
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

/// The JSON Schema of `meta` of entries that can be called again.
pub(crate) fn meta_schema() -> Value {
    let retry = json!({
        "description": "How calls that failed are made again.",
        "anyOf": [{"$ref": "#/$defs/Retry"}, {"type": "null"}]
    });
    let options = json!({
        "description": "How the function is called.",
        "type": ["object", "null"],
        "properties": {"retry": retry}
    });
    json!({"properties": {"options": options}})
}
