//! What a router does to every request and response.

use std::time::Duration;

use crisol_core::suggest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::decode::{Cx, Decode, Int, Text, one_of, shape, text};
use crate::problems::Report;
use crate::rule::Rule;
use crate::values::{HeaderName, HttpMethod, Interval};
use crate::yaml::{Data, Node, quote};

/// One step that every request of a router goes through, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Middleware {
    /// Cross-origin requests.
    Cors(Cors),
    /// Compressed responses, as the client accepts them.
    Compress,
    /// A bound on requests over time.
    RateLimit(RateLimit),
    /// An id for each request, taken over from the client or made.
    RequestId {
        /// The header, in lower case.
        header: String,
    },
    /// A deadline for each request.
    Timeout(Duration),
}

/// Cross-origin requests that are let through.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Cors {
    /// Origins; `*` is every one.
    pub origins: Vec<String>,
    /// Methods; none listed is every one.
    pub methods: Vec<HttpMethod>,
    /// Request headers; none listed is every one.
    pub headers: Vec<String>,
    /// Whether cookies and credentials may come along.
    pub credentials: bool,
    /// How long a browser may keep the answer.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

/// A bound on requests over time; more are answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct RateLimit {
    /// Requests that are let through in each `per`.
    pub requests: u32,
    /// The time.
    #[serde(serialize_with = "some_interval")]
    pub per: Duration,
    /// Requests that may come at once.
    pub burst: u32,
    /// Whose requests are counted together.
    pub by: RateLimitBy,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RateLimitBy {
    /// Those of one client address.
    #[default]
    Ip,
    /// All.
    All,
}

fn some_interval<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Interval(*time).serialize(serializer)
}

fn interval<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Interval).serialize(serializer)
}

impl Middleware {
    /// The step's name in the file.
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
    /// Cross-origin requests.
    pub(crate) struct CorsFields {
        /// Origins that are let through. Default: `["*"]`.
        origins: Option<Vec<Text>>,
        /// Methods that are let through. Default: all.
        methods: Option<Vec<HttpMethod>>,
        /// Request headers that are let through. Default: all.
        headers: Option<Vec<HeaderName>>,
        /// Let cookies and credentials come along; `origins` must be listed then. Default: false.
        credentials: Option<bool>,
        /// How long a browser may keep the answer.
        max_age: Option<Interval>,
    }
}

shape! {
    /// A bound on requests over time.
    pub(crate) struct RateLimitFields {
        /// Requests that are let through in each `per`.
        requests: Int<1, 1_000_000_000>,
        /// The time. Default: `1s`.
        per: Option<Interval>,
        /// Requests that may come at once. Default: `requests`.
        burst: Option<Int<1, 1_000_000_000>>,
        /// Count per client address (`ip`), or `all` together. Default: `ip`.
        by: Option<RateLimitBy>,
    }
}

shape! {
    /// An id for each request.
    pub(crate) struct RequestIdFields {
        /// The header. Default: `x-request-id`.
        header: Option<HeaderName>,
    }
}

impl Decode for RateLimitBy {
    const EXAMPLE: &'static str = "ip";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        one_of(node, &[("ip", Self::Ip), ("all", Self::All)], Rule::UNKNOWN_VALUE, cx)
    }
}

fn cors(node: &Node, cx: &mut Cx<'_>) -> Option<Middleware> {
    let fields = CorsFields::decode(node, cx);
    let every =
        !node.has("origins") || node.items("origins").iter().any(|one| one.text() == Some("*"));
    let credentials = node.get("credentials").filter(|node| node.is_true());
    if let (Some(credentials), true) = (credentials, every) {
        let message = "`credentials` is not allowed together with the origin `*`";
        let report = Report::error(Rule::CONFLICT, message)
            .also(node.get("origins").map(|node| node.span), "the origins")
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

fn rate_limit(node: &Node, cx: &mut Cx<'_>) -> Option<Middleware> {
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

fn request_id(node: &Node, cx: &mut Cx<'_>) -> Option<Middleware> {
    let fields = RequestIdFields::decode(node, cx)?;
    let header = fields.header.map_or_else(|| "x-request-id".to_owned(), |name| name.0);
    Some(Middleware::RequestId { header })
}

impl Middleware {
    /// The name of the step that a node is.
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

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        // A step without options is its name; with options, a map of one pair.
        let empty = Node::new(node.span, Data::Map(Vec::new()));
        let (name, name_span, options) = match node.pairs() {
            [] => (
                text(node, "the name of a step, or a map of one", Self::EXAMPLE, cx)?,
                node.span,
                &empty,
            ),
            [pair] if pair.value.is_null() => (&*pair.key, pair.key_span, &empty),
            [pair] => (&*pair.key, pair.key_span, &*pair.value),
            [_, second, ..] => {
                let report = Report::error(Rule::WRONG_TYPE, "one step has several names")
                    .help("begin each step with a `-` of its own");
                cx.report(second.key_span, report);
                return None;
            }
        };
        cx.within(name, |cx| match name {
            "cors" => cors(options, cx),
            "ratelimit" => rate_limit(options, cx),
            "request_id" => request_id(options, cx),
            "timeout" if matches!(&options.data, Data::Map(pairs) if pairs.is_empty()) => {
                let report = Report::error(Rule::MISSING_FIELD, "`timeout` needs a time")
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
                let message = format!("there is no middleware {}", quote(name));
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
            "description": "A step by its name, or a map of its name and its options.",
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
