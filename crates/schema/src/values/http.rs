//! Methods, paths and prefixes of HTTP entries.

use std::fmt;
use std::str::FromStr;

use crisol_core::suggest;

use super::form::{InvalidValue, text_value};
use super::shape::{Part, RouteShape};
use crate::rule::Rule;
use crate::yaml::quote;

/// Request method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HttpMethod {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// `TRACE`.
    Trace,
    /// `CONNECT`.
    Connect,
    /// `ANY`: every method without an endpoint of its own for the same path.
    Any,
}

const METHODS: &[(&str, HttpMethod)] = &[
    ("GET", HttpMethod::Get),
    ("HEAD", HttpMethod::Head),
    ("POST", HttpMethod::Post),
    ("PUT", HttpMethod::Put),
    ("PATCH", HttpMethod::Patch),
    ("DELETE", HttpMethod::Delete),
    ("OPTIONS", HttpMethod::Options),
    ("TRACE", HttpMethod::Trace),
    ("CONNECT", HttpMethod::Connect),
    ("ANY", HttpMethod::Any),
];

impl HttpMethod {
    /// Returns the method in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        METHODS.iter().find(|(_, method)| *method == self).map_or("ANY", |(name, _)| name)
    }
}

impl FromStr for HttpMethod {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let upper = text.to_ascii_uppercase();
        let upper = if upper == "*" || upper == "ALL" { "ANY" } else { &upper };
        if let Some(&(_, method)) = METHODS.iter().find(|(name, _)| *name == upper) {
            return Ok(method);
        }
        let names: Vec<&str> = METHODS.iter().map(|&(name, _)| name).collect();
        let message = format!("{} is not an HTTP method", quote(text));
        Err(InvalidValue::new(Rule::UNKNOWN_VALUE, message, suggest::or_list(text, &names)))
    }
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

text_value!(HttpMethod, "text", "POST", {
    "anyOf": [
        {"enum": [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "ANY"
        ]},
        {"type": "string", "pattern": "^([A-Za-z]+|\\*)$"}
    ]
});

/// One segment of a [`RoutePath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// Fixed text, percent-encoded as written.
    Literal(Box<str>),
    /// `{name}`: any one segment that is not empty.
    Param(Box<str>),
    /// `{name...}`: the rest of the path, which may be empty; always last.
    Rest(Box<str>),
}

/// Path of an endpoint: `/users/{id}`, `/files/{rest...}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoutePath(Vec<Segment>);

impl RoutePath {
    /// Returns the segments; empty for `/`. A path that ends in `/` has an empty literal at its end.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Returns the path below a prefix, as a router serves it.
    #[must_use]
    pub fn below(&self, prefix: &PathPrefix) -> Self {
        let prefix = prefix.segments().map(|part| Segment::Literal(part.into()));
        Self(prefix.chain(self.0.iter().cloned()).collect())
    }

    /// Returns the shape of the path: equal shapes match the same requests.
    #[must_use]
    pub fn shape(&self) -> RouteShape {
        RouteShape::of(self.0.iter().map(|segment| match segment {
            Segment::Literal(text) => Part::Literal(decoded(text)),
            Segment::Param(_) => Part::Param,
            Segment::Rest(_) => Part::Rest,
        }))
    }
}

/// Returns true for characters allowed in the path of a URL (RFC 3986, 3.3), and for `%`.
fn path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(c)
}

/// Decodes a literal for comparison with requests. Decodes bytes that need no encoding, and writes the digits
/// of the others in lower case.
fn decoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2).unwrap_or(after);
        match u8::from_str_radix(digits, 16).map(char::from) {
            Ok(c) if c != '%' && path_char(c) => out.push(c),
            _ => out += &format!("%{}", digits.to_ascii_lowercase()),
        }
        rest = after.get(2..).unwrap_or("");
    }
    out + rest
}

/// Returns true if two hexadecimal digits follow each `%` and the decoded bytes are UTF-8.
fn decodable(text: &str) -> bool {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return false };
        let digit = |byte: u8| (byte as char).to_digit(16);
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
        bytes.push((high * 16 + low) as u8);
        rest = after;
    }
    String::from_utf8(bytes).is_ok()
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return match text {
            "." | ".." => Err("it has a `.` or `..` segment"),
            _ if text.contains(['{', '}']) => Err("a parameter must be a whole segment: `{name}`"),
            _ if !decodable(text) => Err("its percent-encoding is malformed or not UTF-8"),
            _ if text.chars().all(path_char) => Ok(Segment::Literal(text.into())),
            _ => Err("it has a character that is not allowed in URL paths: percent-encode it"),
        };
    };
    let (name, rest) = match inner.strip_suffix("...") {
        Some(name) => (name, true),
        None => (inner, false),
    };
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match first && name.bytes().all(fits) {
        false => Err("a parameter name has only letters, digits, `_` and `-`"),
        true if rest => Ok(Segment::Rest(name.into())),
        true => Ok(Segment::Param(name.into())),
    }
}

fn route(text: &str) -> Result<Vec<Segment>, &'static str> {
    if text.len() > 4096 {
        return Err("it is over 4096 bytes long");
    }
    let Some(inner) = text.strip_prefix('/') else { return Err("it does not begin with `/`") };
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let segments: Vec<Segment> = inner.split('/').map(segment).collect::<Result<_, _>>()?;
    let (last, others) = segments.split_last().ok_or("it is empty")?;
    if others.iter().any(|one| matches!(one, Segment::Literal(text) if text.is_empty())) {
        return Err("it has two `/` in a row");
    }
    if others.iter().any(|one| matches!(one, Segment::Rest(_))) {
        return Err("a `{name...}` segment must be the last");
    }
    let name = |one: &Segment| match one {
        Segment::Param(name) | Segment::Rest(name) => Some(name.clone()),
        Segment::Literal(_) => None,
    };
    let mut names: Vec<_> = others.iter().chain([last]).filter_map(name).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    if names.len() < all { Err("two parameters have the same name") } else { Ok(segments) }
}

impl FromStr for RoutePath {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        route(text).map(Self).map_err(|why| {
            let message = format!("{} is not a route: {why}", quote(text));
            let help = "write a path such as `/users/{id}` or `/files/{rest...}`";
            InvalidValue::new(Rule::BAD_PATH, message, help)
        })
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::Param(name) => write!(f, "/{{{name}}}"),
            Segment::Rest(name) => write!(f, "/{{{name}...}}"),
        })
    }
}

text_value!(RoutePath, "text", "/users/{id}", { "type": "string", "pattern": "^/" });

/// Path prefix of a router or static files: `/` or `/api/v1`, without a trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPrefix(Box<str>);

impl PathPrefix {
    /// Returns the prefix: `/`, or a path without a trailing `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Iterates over the segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self("/".into())
    }
}

impl FromStr for PathPrefix {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let trimmed = if text.len() > 1 { text.strip_suffix('/').unwrap_or(text) } else { text };
        let why = match route(trimmed) {
            Ok(segments) if segments.iter().all(|one| matches!(one, Segment::Literal(_))) => {
                return Ok(Self(trimmed.into()));
            }
            Ok(_) => "it has a parameter",
            Err(why) => why,
        };
        let message = format!("{} is not a path prefix: {why}", quote(text));
        Err(InvalidValue::new(Rule::BAD_PATH, message, "write a path such as `/api/v1`, or `/`"))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(PathPrefix, "text", "/api", { "type": "string", "pattern": "^/" });
