//! Requests that cannot be bound to arguments: always the client's error, with its location.

use std::fmt;

use crisol_core::shorten;

use crate::problem::{Cause, Problem};

/// Maximum length of a client's text in an error, in characters.
pub(crate) const SHOWN: usize = 64;

/// Location of a value in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A parameter of the route's pattern.
    Path(String),
    /// A key of the query.
    Query(String),
    /// A header.
    Header(String),
    /// The method.
    Method,
    /// The query as a whole.
    WholeQuery,
    /// The body as a whole.
    Body,
    /// A field of the JSON object or form in the body.
    Field(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(name) => write!(f, "path parameter `{name}`"),
            Self::Query(name) => write!(f, "query parameter `{name}`"),
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Method => f.write_str("method"),
            Self::WholeQuery => f.write_str("query"),
            Self::Body => f.write_str("body"),
            Self::Field(name) => write!(f, "field `{name}` of the body"),
        }
    }
}

/// Error for a request that cannot be bound to a function's arguments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// A value is present that its parameter does not accept.
    #[error("{location}: expected {expected}, found {found}")]
    Mismatch {
        /// Location of the value.
        location: Location,
        /// The accepted values, in WIT terms or in words.
        expected: String,
        /// The value found, shortened.
        found: String,
    },
    /// A parameter has no value.
    #[error("missing parameter `{name}`: pass it as {locations}")]
    Missing {
        /// Name of the parameter.
        name: String,
        /// Locations that the parameter is read from.
        locations: String,
    },
    /// The body is not valid JSON.
    #[error("body: expected {expected} as JSON, found invalid JSON: {problem}")]
    Json {
        /// The type that the JSON is read as.
        expected: String,
        /// The parser's error, with line and column.
        problem: serde_json::Error,
    },
    /// The body has a field that matches no parameter.
    #[error("body: unknown field `{name}`: expected one of {known}")]
    UnknownField {
        /// Name of the field.
        name: String,
        /// The names of all parameters.
        known: String,
    },
    /// The body has the same field twice.
    #[error("body: duplicate field `{name}`{also}")]
    DuplicateField {
        /// Name of the field at its first occurrence.
        name: String,
        /// Its spelling at the second occurrence, if that differs.
        also: String,
    },
    /// The body's media type, charset or encoding is not supported.
    #[error("body: expected {expected}, found `{header}: {found}`")]
    UnsupportedMedia {
        /// The supported value.
        expected: &'static str,
        /// Name of the header at fault.
        header: &'static str,
        /// Value of the header.
        found: String,
    },
}

impl BadRequest {
    pub(crate) fn mismatch(location: Location, expected: impl fmt::Display, found: &str) -> Self {
        Self::Mismatch { location, expected: expected.to_string(), found: quote(found) }
    }

    /// Cause of the response: `415` for an unsupported media type, charset or encoding, `400` otherwise.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::UnsupportedMedia { .. } => Cause::UnsupportedMedia,
            Self::Mismatch { .. }
            | Self::Missing { .. }
            | Self::Json { .. }
            | Self::DuplicateField { .. }
            | Self::UnknownField { .. } => Cause::BadRequest,
        }
    }
}

impl From<&BadRequest> for Problem {
    fn from(error: &BadRequest) -> Self {
        Self::new(error.cause(), error.to_string())
    }
}

/// Quotes a client's text in backticks, shortened.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", shorten(text, SHOWN))
}
