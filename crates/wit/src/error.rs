//! Errors of values that do not fit a type: a closed vocabulary with uniform wording.

use std::fmt;

use crisol_core::Value;
use crisol_core::suggest::{Budget, nearest_within};

use crate::shape::{Names, Shape};

/// Most characters of a type or of a found text in a message.
const SHOWN: usize = 80;

/// Shortens `text` for a message.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Name of a type, shortened where it is long.
pub(crate) fn type_name(shape: &Shape) -> String {
    if let Shape::Arguments(_) = shape {
        return "a list of arguments".to_owned();
    }
    shorten(&shape.describe().to_string())
}

/// Value found in place of the expected one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Unexpected {
    /// Null, nil, none, unit.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Number, as the source wrote it or close to it.
    Number(String),
    /// Text, shortened where it is long.
    Text(String),
    /// Bytes, by their number.
    Bytes(usize),
    /// A sequence.
    List,
    /// A map.
    Map,
    /// Case of an enum of the source's format.
    Case(String),
}

impl Unexpected {
    pub(crate) fn number(number: impl fmt::Display) -> Self {
        Self::Number(shorten(&number.to_string()))
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(shorten(text))
    }

    pub(crate) fn case(name: &str) -> Self {
        Self::Case(shorten(name))
    }

    pub(crate) fn value(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(number) => Self::number(number),
            Value::UInt(number) => Self::number(number),
            Value::Float(number) => Self::number(number),
            Value::Text(text) => Self::text(text),
            Value::Bytes(bytes) => Self::Bytes(bytes.len()),
            Value::List(_) => Self::List,
            Value::Map(_) => Self::Map,
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "number {number}"),
            Self::Text(text) => write!(f, "string {text:?}"),
            Self::Bytes(1) => f.write_str("1 byte"),
            Self::Bytes(len) => write!(f, "{len} bytes"),
            Self::List => f.write_str("a list"),
            Self::Map => f.write_str("a map"),
            Self::Case(name) => write!(f, "the case `{name}`"),
        }
    }
}

/// Difference between a value and its type.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Value of another kind.
    #[error("expected {expected}, found {found}")]
    Type {
        /// The WIT type.
        expected: String,
        /// Value found.
        found: Unexpected,
    },
    /// Number outside the range of the type.
    #[error("expected {expected} ({low} to {high}), found number {found}")]
    Range {
        /// The WIT type.
        expected: &'static str,
        /// Least value of the type.
        low: String,
        /// Greatest value of the type.
        high: String,
        /// Number found.
        found: String,
    },
    /// Number with a fraction, for an integer.
    #[error("expected {expected}, found number {found}, which is not an integer")]
    Fraction {
        /// The WIT type.
        expected: &'static str,
        /// Number found.
        found: String,
    },
    /// Sequence of another length.
    #[error("expected {expected} of {items}, found {found}{}", if *more { " or more" } else { "" })]
    Length {
        /// The WIT type.
        expected: String,
        /// Number of items that the type has.
        items: usize,
        /// Number of items found.
        found: usize,
        /// True if the source has more than `found` items; the rest was not counted.
        more: bool,
    },
    /// List, map or text with more items or bytes than any may have.
    #[error("expected {expected} of at most {}, found {found}", u32::MAX)]
    TooLong {
        /// The WIT type.
        expected: String,
        /// Number of items or bytes found.
        found: usize,
    },
    /// Field that the record does not have.
    #[error("unknown field `{name}`{hint}")]
    UnknownField {
        /// Name of the field.
        name: String,
        /// Nearest name, or the list of names.
        hint: String,
    },
    /// Missing field that is not an option.
    #[error("missing field `{name}`: expected {expected}")]
    MissingField {
        /// Name of the field.
        name: String,
        /// Its WIT type.
        expected: String,
    },
    /// Duplicate field.
    #[error("duplicate field `{name}`")]
    DuplicateField {
        /// Name of the field.
        name: String,
    },
    /// Case of a variant or an enum, or a flag, that the type does not have.
    #[error("unknown {what} `{name}`{hint}")]
    UnknownCase {
        /// `case` or `flag`.
        what: &'static str,
        /// Name found.
        name: String,
        /// Nearest name, or the list of names.
        hint: String,
    },
    /// Duplicate flag.
    #[error("duplicate flag `{name}`")]
    DuplicateFlag {
        /// Name of the flag.
        name: String,
    },
    /// Case without its payload.
    #[error("case `{case}` needs a payload: expected {{\"{case}\": {expected}}}")]
    MissingPayload {
        /// Name of the case.
        case: String,
        /// WIT type of the payload.
        expected: String,
    },
    /// Case without a payload type, but with a value.
    #[error("case `{case}` has no payload: expected \"{case}\", found {found}")]
    UnexpectedPayload {
        /// Name of the case.
        case: String,
        /// Value found.
        found: Unexpected,
    },
    /// Map that does not name exactly one case.
    #[error("expected {expected} as one case, found a map of {found}")]
    NotOneCase {
        /// The WIT type.
        expected: String,
        /// Entries found: `0 entries`, `2 entries or more`.
        found: &'static str,
    },
    /// Omitted fields that would take more memory than the size of the value justifies.
    #[error("omitted fields would take too much memory: omit fewer fields or send less")]
    TooMuchImplied,
}

impl Mismatch {
    pub(crate) fn of(shape: &Shape, found: Unexpected) -> Self {
        Self::Type { expected: type_name(shape), found }
    }

    #[cold]
    pub(crate) fn too_long(shape: &Shape, found: usize) -> Self {
        Self::TooLong { expected: type_name(shape), found }
    }

    pub(crate) fn unknown_field(name: &str, names: &Names) -> Self {
        Self::UnknownField { name: shorten(name), hint: hint(name, names) }
    }

    pub(crate) fn unknown_case(what: &'static str, name: &str, names: &Names) -> Self {
        Self::UnknownCase { what, name: shorten(name), hint: hint(name, names) }
    }

    pub(crate) fn length(shape: &Shape, items: usize, found: usize) -> Self {
        Self::Length { expected: type_name(shape), items, found, more: found > items }
    }
}

/// Limit on the cost of a search for a similar name, in compared pairs of characters: names come from guests.
const MAX_COMPARED: u64 = 1 << 20;

/// Most similar of `names`, or the first few of them.
fn hint(name: &str, names: &Names) -> String {
    let candidates = names.as_slice().iter().map(String::as_str);
    if let Some(near) = nearest_within(name, candidates, &mut Budget::new(MAX_COMPARED)) {
        return format!(": did you mean `{near}`?");
    }
    let shown = 8;
    let mut list: Vec<String> =
        names.as_slice().iter().take(shown).map(|name| format!("`{name}`")).collect();
    if names.len() > shown {
        list.push("…".to_owned());
    }
    format!(": expected one of {}", list.join(", "))
}

/// Step of a path into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// Item of a list or a tuple, from 0.
    Index(usize),
    /// Field of a record, payload of a case, or side of a result.
    Name(String),
    /// Value under a key of a map, with the key as text.
    Key(String),
    /// Key of a map's entry, by the entry's position from 0.
    KeyAt(usize),
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(at) => write!(f, "[{at}]"),
            Self::Name(name) => write!(f, ".{name}"),
            Self::Key(key) => write!(f, "[{key}]"),
            Self::KeyAt(at) => write!(f, "[key {at}]"),
        }
    }
}

/// Place in the arguments or the result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePath {
    /// Argument: its position from 0 and its name; `None` for the result.
    pub argument: Option<(usize, String)>,
    /// Path from there to the value.
    pub path: Vec<Segment>,
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some((at, name)) => write!(f, "argument {} ({name})", at + 1)?,
            None => f.write_str("result")?,
        }
        self.path.iter().try_for_each(|segment| segment.fmt(f))
    }
}

/// Reason that arguments do not fit a signature.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// Value that is not of its type.
    #[error("{place}: {mismatch}")]
    Value {
        /// Place of the value.
        place: ValuePath,
        /// Difference from the type.
        mismatch: Box<Mismatch>,
    },
    /// Wrong number of arguments.
    #[error("expected {expected}, found {found}")]
    Count {
        /// Expected number and list: `2 arguments (a: s32, b: s32)`.
        expected: String,
        /// Number found.
        found: usize,
    },
    /// Source that is not a list of arguments, or arguments by name that do not fit.
    #[error("{mismatch}")]
    Arguments {
        /// Difference from the parameters.
        mismatch: Box<Mismatch>,
    },
    /// Malformed source: bad JSON, or a `Serialize` that failed.
    #[error("{}{message}", match place { Some(place) => format!("{place}: "), None => "malformed arguments: ".to_owned() })]
    Source {
        /// Place that the source was read to.
        place: Option<ValuePath>,
        /// Message of the source's own reader.
        message: String,
    },
}

/// Reason that a result does not fit the Rust type that the caller asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct LiftError {
    pub(crate) place: ValuePath,
    pub(crate) message: String,
}

impl LiftError {
    pub(crate) fn at(mut self, segment: Segment) -> Self {
        // The innermost segment arrives first, because the error climbs out of the value.
        self.place.path.insert(0, segment);
        self
    }
}

impl serde::de::Error for LiftError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let place = ValuePath { argument: None, path: Vec::new() };
        Self { place, message: message.to_string() }
    }
}
