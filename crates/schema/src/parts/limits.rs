//! What a call may use up.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::decode::{Cx, Decode, Int, shape};
use crate::yaml::Node;

/// Limits of each call. None means that the runtime's own default applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Limits {
    /// One deadline over all of a call: waiting, computing, I/O and calls to other functions.
    #[serde(rename = "max_execution_ms", skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "as_millis")]
    pub max_execution: Option<Duration>,
    /// Linear memory of an instance, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_bytes: Option<u64>,
    /// Instructions, roughly; without it they are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fuel: Option<u64>,
    /// The size of a call's result and of what it prints, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_bytes: Option<u64>,
}

fn as_millis<S: serde::Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => out.serialize_u64(time.as_millis() as u64),
        None => out.serialize_none(),
    }
}

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;
/// What 32-bit memory can hold.
const FOUR_GIB: u64 = 4 << 30;
/// What every YAML and JSON reader takes as a whole number.
const LARGEST: u64 = i64::MAX as u64;

shape! {
    /// Limits of each call.
    pub(crate) struct LimitsFields {
        /// Deadline of a call in milliseconds, over everything: waiting for a worker, computing, I/O,
        /// and calls to other functions.
        max_execution_ms: Option<Int<1, DAY>>,
        /// Linear memory of an instance in bytes, at least one page of 64 KiB. `--memory` bounds all instances together.
        max_memory_bytes: Option<Int<65_536, FOUR_GIB>>,
        /// Fuel of a call: about one unit for each instruction. Not counted when left out.
        max_fuel: Option<Int<1, LARGEST>>,
        /// Size of the result and of what is printed, in bytes.
        max_output_bytes: Option<Int<1, FOUR_GIB>>,
    }
}

impl Decode for Limits {
    const EXAMPLE: &'static str = "{max_execution_ms: 5000}";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
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
