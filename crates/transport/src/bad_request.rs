//! Why a request carries no arguments: always the client's error, always with a place.

use std::fmt;

use crisol_core::shorten;

use crate::problem::{Cause, Problem};

/// Text of a client's that an error repeats: no more of it than this, in characters.
pub(crate) const SHOWN: usize = 64;

/// Where in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A parameter of the path's pattern.
    Path(String),
    /// A key of the query.
    Query(String),
    /// A header.
    Header(String),
    /// The request line's method.
    Method,
    /// The whole query.
    WholeQuery,
    /// The body.
    Body,
    /// A field of the JSON object or form in the body.
    Field(String),
}

impl fmt::Display for Place {
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

/// Why a request carries no arguments for a function.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// Something is there and is not what the parameter takes.
    #[error("{place}: expected {expected}, found {found}")]
    Mismatch {
        /// Where.
        place: Place,
        /// What is taken there, in WIT terms or words.
        expected: String,
        /// What was there, shortened.
        found: String,
    },
    /// Nothing is there.
    #[error("parameter `{name}` is missing: give it as {places}")]
    Missing {
        /// The parameter.
        name: String,
        /// Where it may stand.
        places: String,
    },
    /// The body is to be JSON and is not.
    #[error("body: expected {expected} as JSON, found text that is not JSON: {problem}")]
    Json {
        /// The type that the JSON is for.
        expected: String,
        /// Line and column.
        problem: serde_json::Error,
    },
    /// The body has a field that no parameter takes.
    #[error("body: unknown field `{name}`: the function takes {known}")]
    UnknownField {
        /// The field.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The body has a field twice.
    #[error("body: field `{name}` is given twice{also}")]
    Twice {
        /// The field, as it is written first.
        name: String,
        /// How it is written the second time, if that differs.
        also: String,
    },
    /// The body's media type, charset or encoding is not one that is read here.
    #[error("body: expected {expected}, found `{header}: {found}`")]
    UnsupportedMedia {
        /// What is read here.
        expected: &'static str,
        /// The header that tells otherwise.
        header: &'static str,
        /// Its value.
        found: String,
    },
}

impl BadRequest {
    pub(crate) fn mismatch(place: Place, expected: impl fmt::Display, found: &str) -> Self {
        Self::Mismatch { place, expected: expected.to_string(), found: quote(found) }
    }

    /// The status that tells the client: `400`, or `415` for a body in a form that is not read here.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::UnsupportedMedia { .. } => Cause::UnsupportedMedia,
            Self::Mismatch { .. }
            | Self::Missing { .. }
            | Self::Json { .. }
            | Self::Twice { .. }
            | Self::UnknownField { .. } => Cause::BadRequest,
        }
    }
}

impl From<&BadRequest> for Problem {
    fn from(error: &BadRequest) -> Self {
        Self::new(error.cause(), error.to_string())
    }
}

/// A client's text in backticks, shortened.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", shorten(text, SHOWN))
}
