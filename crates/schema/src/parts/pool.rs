//! Pool of a function: concurrency of calls, and instances kept ready for them.

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::decode::{Decode, DecodeContext, Int, one_of, shape};
use crate::problems::Report;
use crate::rule::Rule;
use crate::yaml::Node;

/// Maximum number of workers or instances in a pool.
const MAX_WORKERS: u64 = 100_000;
/// Maximum number of waiting calls.
const MAX_BUFFER: u64 = 10_000_000;
/// Default `max_size` of an elastic pool.
const ELASTIC: u32 = 100;
/// Default number of workers of a static pool.
const STATIC: u32 = 8;
/// Default number of waiting calls for each worker.
const WAITING_EACH: u32 = 64;
/// Default time that a lazy pool keeps an idle instance, in milliseconds.
const IDLE_MS: u64 = 30_000;

/// A pool with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Type of the pool, with the settings of that type.
    #[serde(flatten)]
    pub strategy: Strategy,
    /// Maximum number of waiting calls; one more fails at once.
    pub buffer: u32,
    /// Number of calls that one instance serves.
    pub max_instance_reuse: NonZeroU32,
}

/// Type of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Strategy {
    /// One call at a time, in the caller's task.
    Inline,
    /// Instances on demand, none kept ready.
    Lazy {
        /// Maximum number of concurrent calls.
        max_size: NonZeroU32,
        /// Time that an idle instance is kept.
        #[serde(rename = "idle_timeout_ms", serialize_with = "as_millis")]
        idle_timeout: Duration,
    },
    /// A fixed number of workers.
    Static {
        /// Number of concurrent calls.
        workers: NonZeroU32,
        /// Number of instances kept ready, at least `workers`.
        size: NonZeroU32,
        /// True to create the instances before the entry is served.
        warm_start: bool,
    },
    /// Workers scaled by load, at least one.
    Adaptive {
        /// Maximum number of concurrent calls.
        max_size: NonZeroU32,
        /// True to create the first instances before the entry is served.
        warm_start: bool,
    },
}

fn as_millis<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis() as u64)
}

impl Strategy {
    /// Returns the type's name in the file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Lazy { .. } => "lazy",
            Self::Static { .. } => "static",
            Self::Adaptive { .. } => "adaptive",
        }
    }

    /// Returns the maximum number of concurrent calls.
    #[must_use]
    pub fn concurrency(&self) -> NonZeroU32 {
        match *self {
            Self::Inline => NonZeroU32::MIN,
            Self::Lazy { max_size, .. } | Self::Adaptive { max_size, .. } => max_size,
            Self::Static { workers, .. } => workers,
        }
    }

    /// Returns the fields of `pool` that this type uses.
    fn fields(&self) -> &'static [&'static str] {
        match self {
            Self::Inline => &[],
            Self::Lazy { .. } => &["max_size", "idle_timeout_ms"],
            Self::Static { .. } => &["workers", "size", "warm_start"],
            Self::Adaptive { .. } => &["max_size", "warm_start"],
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        let max_size = count(None, ELASTIC);
        let idle_timeout = Duration::from_millis(IDLE_MS);
        Self::of(Strategy::Lazy { max_size, idle_timeout }, None, None)
    }
}

impl Pool {
    fn of(strategy: Strategy, buffer: Option<u64>, reuse: Option<u64>) -> Self {
        let waiting = strategy.concurrency().get().saturating_mul(WAITING_EACH);
        Self {
            strategy,
            buffer: buffer.map_or(waiting, |calls| u32::try_from(calls).unwrap_or(u32::MAX)),
            max_instance_reuse: count(reuse, 1),
        }
    }
}

fn count(given: Option<u64>, default: u32) -> NonZeroU32 {
    let number = given.map_or(default, |number| u32::try_from(number).unwrap_or(u32::MAX));
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// Value of `pool.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub(crate) enum PoolType {
    /// One call at a time, in the caller's task.
    Inline,
    /// Workers on demand, up to `max_size`; none kept ready.
    Lazy,
    /// A fixed number of workers with a queue.
    Static,
    /// Workers scaled by load, up to `max_size`.
    Adaptive,
}

impl Decode for PoolType {
    const EXAMPLE: &'static str = "lazy";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let words = [
            ("inline", Self::Inline),
            ("lazy", Self::Lazy),
            ("static", Self::Static),
            ("adaptive", Self::Adaptive),
        ];
        one_of(node, &words, Rule::UNKNOWN_VALUE, cx)
    }
}

shape! {
    /// Concurrency of calls, and instances kept ready for them.
    pub(crate) struct PoolFields {
        /// Type of the pool. Default: `static` if `workers` or `size` is given, else `lazy`.
        r#type: Option<PoolType>,
        /// Static: number of instances kept ready, at least `workers`. Default: `workers`, or 8.
        size: Option<Int<1, MAX_WORKERS>>,
        /// Static: number of concurrent calls. Default: `size`, or 8.
        workers: Option<Int<1, MAX_WORKERS>>,
        /// Maximum number of waiting calls; one more fails at once as saturated. Default: 64 for each
        /// concurrent call.
        buffer: Option<Int<0, MAX_BUFFER>>,
        /// Lazy and adaptive: maximum number of concurrent calls. Default: 100.
        max_size: Option<Int<1, MAX_WORKERS>>,
        /// Static and adaptive: creates the first instances before the entry is served. Default: false.
        warm_start: Option<bool>,
        /// Lazy: time in milliseconds that an idle instance is kept. Default: 30000.
        idle_timeout_ms: Option<Int<1, 86_400_000>>,
        /// Number of calls that one instance serves. Default: 1, so every call gets a fresh instance.
        max_instance_reuse: Option<Int<1, 4_000_000_000>>,
    }
}

impl PoolFields {
    fn strategy(&self) -> Strategy {
        let elastic = count(self.max_size.map(|n| n.0), ELASTIC);
        let warm_start = self.warm_start.unwrap_or(false);
        let counted = self.workers.or(self.size);
        let default = if counted.is_some() { PoolType::Static } else { PoolType::Lazy };
        match self.r#type.unwrap_or(default) {
            PoolType::Inline => Strategy::Inline,
            PoolType::Lazy => {
                let idle = self.idle_timeout_ms.map_or(IDLE_MS, |ms| ms.0);
                Strategy::Lazy { max_size: elastic, idle_timeout: Duration::from_millis(idle) }
            }
            PoolType::Static => Strategy::Static {
                workers: count(counted.map(|n| n.0), STATIC),
                size: count(self.size.or(self.workers).map(|n| n.0), STATIC),
                warm_start,
            },
            PoolType::Adaptive => Strategy::Adaptive { max_size: elastic, warm_start },
        }
    }
}

impl Decode for Pool {
    const EXAMPLE: &'static str = "{type: lazy, max_size: 4}";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let fields = PoolFields::decode(node, cx);
        let sizes_fit = sizes_fit(node, cx);
        let fields = fields.filter(|_| sizes_fit)?;
        let strategy = fields.strategy();
        warn_no_effect(node, &strategy, cx);
        let buffer = fields.buffer.map(|calls| calls.0);
        Some(Self::of(strategy, buffer, fields.max_instance_reuse.map(|calls| calls.0)))
    }
}

/// Reports a `static` pool with fewer instances than workers, even if other fields are wrong.
fn sizes_fit(node: &Node, cx: &mut DecodeContext<'_>) -> bool {
    let number = |name| node.get(name).and_then(|node| node.int());
    let is_static =
        !node.has("type") || node.get("type").and_then(|node| node.text()) == Some("static");
    let (Some(size), Some(workers), true) = (number("size"), number("workers"), is_static) else {
        return true;
    };
    if size >= workers || size < 1 {
        return true;
    }
    let message = format!("`size` is {size}, below the {workers} `workers`");
    let report = Report::error(Rule::CONFLICT, message)
        .related(node.get("workers").map(|node| node.span), "the workers")
        .help("each worker needs an instance: make `size` at least `workers`");
    cx.within("size", |cx| cx.report(node.span_of("size"), report));
    false
}

fn warn_no_effect(node: &Node, strategy: &Strategy, cx: &mut DecodeContext<'_>) {
    let own = ["size", "workers", "max_size", "warm_start", "idle_timeout_ms"];
    for pair in node.pairs() {
        if !own.contains(&&*pair.key) || strategy.fields().contains(&&*pair.key) {
            continue;
        }
        let name = strategy.name();
        let message = format!("`{}` has no effect on a pool of type `{name}`", pair.key);
        let report =
            Report::warning(Rule::NO_EFFECT, message).help("remove it, or choose another `type`");
        cx.within(&pair.key, |cx| cx.report(pair.key_span, report));
    }
}

impl JsonSchema for Pool {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pool".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        PoolFields::json_schema(generator)
    }
}
