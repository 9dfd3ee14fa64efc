//! Resource limits of a call.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::decode::{Decode, DecodeContext, Int, shape};
use crate::yaml::Node;

/// Resource limits of each call. `None` means the runtime's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Limits {
    /// Deadline of a call, including time spent waiting, computing, in I/O and in calls to other functions.
    #[serde(rename = "max_execution_ms", skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "as_millis")]
    pub max_execution: Option<Duration>,
    /// Maximum linear memory of an instance, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_bytes: Option<u64>,
    /// Maximum fuel, about one unit per instruction. Without it fuel is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fuel: Option<u64>,
    /// Maximum size of a call's result, and of its printed output, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_bytes: Option<u64>,
}

fn as_millis<S: serde::Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => out.serialize_u64(time.as_millis() as u64),
        None => out.serialize_none(),
    }
}

/// One day, in milliseconds.
const DAY: u64 = 86_400_000;
/// Maximum size of 32-bit memory, in bytes.
const FOUR_GIB: u64 = 4 << 30;
/// Largest integer that every YAML and JSON reader accepts.
const LARGEST: u64 = i64::MAX as u64;

shape! {
    /// Resource limits of each call.
    pub(crate) struct LimitsFields {
        /// Deadline of a call in milliseconds. It covers waiting for a worker, computing, I/O and calls to
        /// other functions.
        max_execution_ms: Option<Int<1, DAY>>,
        /// Maximum linear memory of an instance in bytes, at least one page (64 KiB). `--memory` limits all
        /// instances together.
        max_memory_bytes: Option<Int<65_536, FOUR_GIB>>,
        /// Maximum fuel of a call, about one unit per instruction. Without it fuel is not counted.
        max_fuel: Option<Int<1, LARGEST>>,
        /// Maximum size in bytes of a call's result, and of its printed output.
        max_output_bytes: Option<Int<1, FOUR_GIB>>,
    }
}

impl Decode for Limits {
    const EXAMPLE: &'static str = "{max_execution_ms: 5000}";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let fields = LimitsFields::decode(node, cx)?;
        Some(Self {
            max_execution: fields.max_execution_ms.map(|ms| Duration::from_millis(ms.0)),
            max_memory_bytes: fields.max_memory_bytes.map(|bytes| bytes.0),
            max_fuel: fields.max_fuel.map(|fuel| fuel.0),
            max_output_bytes: fields.max_output_bytes.map(|bytes| bytes.0),
        })
    }
}

impl JsonSchema for Limits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        LimitsFields::json_schema(generator)
    }
}
