//! Middleware of a router: steps that run for every request and response.

use std::time::Duration;

use crisol_core::suggest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::decode::{Decode, DecodeContext, Int, Text, one_of, shape, text};
use crate::problems::Report;
use crate::rule::Rule;
use crate::values::{HeaderName, HttpMethod, Interval};
use crate::yaml::{Data, Node, quote};

/// One middleware step, applied to every request of a router in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Middleware {
    /// Cross-origin requests (CORS).
    Cors(Cors),
    /// Compression of responses, as the client accepts it.
    Compress,
    /// Rate limit for requests.
    RateLimit(RateLimit),
    /// Request id, taken from the client or generated.
    RequestId {
        /// Name of the header, in lower case.
        header: String,
    },
    /// Deadline of each request.
    Timeout(Duration),
}

/// Allowed cross-origin requests.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Cors {
    /// Allowed origins; `*` allows every origin.
    pub origins: Vec<String>,
    /// Allowed methods; an empty list allows every method.
    pub methods: Vec<HttpMethod>,
    /// Allowed request headers; an empty list allows every header.
    pub headers: Vec<String>,
    /// True to allow cookies and credentials.
    pub credentials: bool,
    /// Time a browser may cache the answer to a preflight.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

/// Rate limit for requests. Requests over the limit are answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct RateLimit {
    /// Number of requests allowed in each `per`.
    pub requests: u32,
    /// Length of the period.
    #[serde(serialize_with = "some_interval")]
    pub per: Duration,
    /// Number of requests allowed at once.
    pub burst: u32,
    /// Scope of the limit.
    pub by: RateLimitBy,
}

/// Scope of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RateLimitBy {
    /// One limit for each client address.
    #[default]
    Ip,
    /// One limit for all requests.
    All,
}

fn some_interval<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Interval(*time).serialize(serializer)
}

fn interval<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Interval).serialize(serializer)
}

impl Middleware {
    /// Returns the step's name in the file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cors(_) => "cors",
            Self::Compress => "compress",
            Self::RateLimit(_) => "ratelimit",
            Self::RequestId { .. } => "request_id",
            Self::Timeout(_) => "timeout",
        }
    }
}

impl Serialize for Middleware {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::Compress {
            return serializer.serialize_str(self.name());
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Cors(cors) => map.serialize_entry(self.name(), cors)?,
            Self::RateLimit(limit) => map.serialize_entry(self.name(), limit)?,
            Self::RequestId { header } => {
                let fields = std::collections::BTreeMap::from([("header", header)]);
                map.serialize_entry(self.name(), &fields)?;
            }
            Self::Timeout(after) => map.serialize_entry(self.name(), &Interval(*after))?,
            Self::Compress => {}
        }
        map.end()
    }
}

shape! {
    /// Cross-origin requests (CORS).
    pub(crate) struct CorsFields {
        /// Allowed origins. Default: `["*"]`.
        origins: Option<Vec<Text>>,
        /// Allowed methods. Default: all.
        methods: Option<Vec<HttpMethod>>,
        /// Allowed request headers. Default: all.
        headers: Option<Vec<HeaderName>>,
        /// Allows cookies and credentials; `origins` must then list each origin. Default: false.
        credentials: Option<bool>,
        /// Time a browser may cache the answer to a preflight.
        max_age: Option<Interval>,
    }
}

shape! {
    /// Rate limit for requests.
    pub(crate) struct RateLimitFields {
        /// Number of requests allowed in each `per`.
        requests: Int<1, 1_000_000_000>,
        /// Length of the period. Default: `1s`.
        per: Option<Interval>,
        /// Number of requests allowed at once. Default: `requests`.
        burst: Option<Int<1, 1_000_000_000>>,
        /// Scope of the limit: each client address (`ip`), or `all` requests together. Default: `ip`.
        by: Option<RateLimitBy>,
    }
}

shape! {
    /// Request id.
    pub(crate) struct RequestIdFields {
        /// Name of the header. Default: `x-request-id`.
        header: Option<HeaderName>,
    }
}

impl Decode for RateLimitBy {
    const EXAMPLE: &'static str = "ip";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        one_of(node, &[("ip", Self::Ip), ("all", Self::All)], Rule::UNKNOWN_VALUE, cx)
    }
}

fn cors(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Middleware> {
    let fields = CorsFields::decode(node, cx);
    let every =
        !node.has("origins") || node.items("origins").iter().any(|one| one.text() == Some("*"));
    let credentials = node.get("credentials").filter(|node| node.is_true());
    if let (Some(credentials), true) = (credentials, every) {
        let message = "`credentials` is not allowed together with the origin `*`";
        let report = Report::error(Rule::CONFLICT, message)
            .related(node.get("origins").map(|node| node.span), "the origins")
            .help("list the origins that may send credentials");
        cx.within("credentials", |cx| cx.report(credentials.span, report));
        return None;
    }
    let fields = fields?;
    Some(Middleware::Cors(Cors {
        origins: match fields.origins {
            None => vec!["*".to_owned()],
            Some(origins) => origins.into_iter().map(|text| text.0).collect(),
        },
        methods: fields.methods.unwrap_or_default(),
        headers: fields.headers.unwrap_or_default().into_iter().map(|name| name.0).collect(),
        credentials: fields.credentials.unwrap_or(false),
        max_age: fields.max_age.map(|time| time.0),
    }))
}

fn rate_limit(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Middleware> {
    let fields = RateLimitFields::decode(node, cx)?;
    let number = |int: Int<1, 1_000_000_000>| u32::try_from(int.0).unwrap_or(u32::MAX);
    let requests = number(fields.requests);
    Some(Middleware::RateLimit(RateLimit {
        requests,
        per: fields.per.map_or(Duration::from_secs(1), |time| time.0),
        burst: fields.burst.map_or(requests, number),
        by: fields.by.unwrap_or_default(),
    }))
}

fn request_id(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Middleware> {
    let fields = RequestIdFields::decode(node, cx)?;
    let header = fields.header.map_or_else(|| "x-request-id".to_owned(), |name| name.0);
    Some(Middleware::RequestId { header })
}

impl Middleware {
    /// Returns the name of the step in a node.
    pub(crate) fn name_in(node: &Node) -> Option<&'static str> {
        let name = match node.pairs() {
            [] => node.text()?,
            [pair] => &*pair.key,
            _ => return None,
        };
        NAMES.into_iter().find(|known| *known == name)
    }
}

const NAMES: [&str; 5] = ["cors", "compress", "ratelimit", "request_id", "timeout"];

impl Decode for Middleware {
    const EXAMPLE: &'static str = "cors";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        // A step without options is a name; a step with options is a map of one pair.
        let empty = Node::new(node.span, Data::Map(Vec::new()));
        let (name, name_span, options) = match node.pairs() {
            [] => (
                text(node, "the name of a step, or a map with one step", Self::EXAMPLE, cx)?,
                node.span,
                &empty,
            ),
            [pair] if pair.value.is_null() => (&*pair.key, pair.key_span, &empty),
            [pair] => (&*pair.key, pair.key_span, &*pair.value),
            [_, second, ..] => {
                let report =
                    Report::error(Rule::WRONG_TYPE, "one middleware step has several names")
                        .help("write each step as a list item of its own");
                cx.report(second.key_span, report);
                return None;
            }
        };
        cx.within(name, |cx| match name {
            "cors" => cors(options, cx),
            "ratelimit" => rate_limit(options, cx),
            "request_id" => request_id(options, cx),
            "timeout" if matches!(&options.data, Data::Map(pairs) if pairs.is_empty()) => {
                let report = Report::error(Rule::MISSING_FIELD, "`timeout` needs a duration")
                    .help("write `- timeout: 30s`");
                cx.report(name_span, report);
                None
            }
            "timeout" => Interval::decode(options, cx).map(|time| Self::Timeout(time.0)),
            "compress" => {
                crate::decode::Fields::open(options, &[], cx)?;
                Some(Self::Compress)
            }
            _ => {
                let message = format!("unknown middleware {}", quote(name));
                let report = Report::error(Rule::UNKNOWN_VALUE, message)
                    .help(suggest::or_list(name, &NAMES));
                cx.report(name_span, report);
                None
            }
        })
    }
}

impl JsonSchema for Middleware {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Middleware".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let cors = generator.subschema_for::<CorsFields>();
        let limit = generator.subschema_for::<RateLimitFields>();
        let id = generator.subschema_for::<RequestIdFields>();
        let time = generator.subschema_for::<Interval>();
        json_schema!({
            "description": "One step: its name, or a map of its name and its options.",
            "anyOf": [
                {"enum": ["cors", "compress", "request_id"]},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": false,
                    "properties": {
                        "cors": {"anyOf": [cors, {"type": "null"}]},
                        "compress": {"type": ["object", "null"], "maxProperties": 0},
                        "ratelimit": limit,
                        "request_id": {"anyOf": [id, {"type": "null"}]},
                        "timeout": time
                    }
                }
            ]
        })
    }
}
