//! Why a value does not fit a type: a closed vocabulary of shapes, all worded alike.

use std::fmt;

use crisol_core::Value;

use crate::shape::{Names, Shape};

/// Characters of a type or of a found text that a message shows at most.
const SHOWN: usize = 80;

/// Cuts `text` to what a message should show of it.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The name of a type, cut where it is long.
pub(crate) fn type_name(shape: &Shape) -> String {
    if let Shape::Arguments(_) = shape {
        return "a list of arguments".to_owned();
    }
    shorten(&shape.describe().to_string())
}

/// What was found where something else was expected.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// Null, nil, none, unit.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as the source wrote it or near to it.
    Number(String),
    /// Text, cut where it is long.
    Text(String),
    /// So many bytes.
    Bytes(usize),
    /// A sequence.
    List,
    /// A map.
    Map,
    /// A case of an enum of the source's own.
    Case(String),
}

impl Found {
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

impl fmt::Display for Found {
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

/// How a value differs from the type that it should have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Another kind of value.
    #[error("expected {expected}, found {found}")]
    Type {
        /// The WIT type.
        expected: String,
        /// What there is.
        found: Found,
    },
    /// A number that the type cannot hold.
    #[error("expected {expected} ({low} to {high}), found number {found}")]
    Range {
        /// The WIT type.
        expected: &'static str,
        /// The least it holds.
        low: String,
        /// The most it holds.
        high: String,
        /// The number.
        found: String,
    },
    /// A number with a fraction for an integer.
    #[error("expected {expected}, found number {found}, which is not an integer")]
    Fraction {
        /// The WIT type.
        expected: &'static str,
        /// The number.
        found: String,
    },
    /// A sequence of another length.
    #[error("expected {expected} of {items}, found {found}{}", if *more { " or more" } else { "" })]
    Length {
        /// The WIT type.
        expected: String,
        /// How many items it has.
        items: usize,
        /// How many there are.
        found: usize,
        /// There are more than `found`; they were not counted.
        more: bool,
    },
    /// A list, a map or text of more items or bytes than any may have.
    #[error("expected {expected} of at most {}, found {found}", u32::MAX)]
    TooLong {
        /// The WIT type.
        expected: String,
        /// Number of its items or bytes.
        found: usize,
    },
    /// A field that the record does not have.
    #[error("unknown field `{name}`{hint}")]
    UnknownField {
        /// The field.
        name: String,
        /// The nearest name, or the names there are.
        hint: String,
    },
    /// A field that is not there and is not an option.
    #[error("missing field `{name}`: expected {expected}")]
    MissingField {
        /// The field.
        name: String,
        /// Its WIT type.
        expected: String,
    },
    /// A field that is there twice.
    #[error("field `{name}` is given twice")]
    DuplicateField {
        /// The field.
        name: String,
    },
    /// A case of a variant or an enum, or a flag, that the type does not have.
    #[error("unknown {what} `{name}`{hint}")]
    UnknownCase {
        /// `case` or `flag`.
        what: &'static str,
        /// The name.
        name: String,
        /// The nearest name, or the names there are.
        hint: String,
    },
    /// A flag that is there twice.
    #[error("flag `{name}` is given twice")]
    DuplicateFlag {
        /// The flag.
        name: String,
    },
    /// A case that carries a value, without one.
    #[error("case `{case}` needs a payload: expected {{\"{case}\": {expected}}}")]
    MissingPayload {
        /// The case.
        case: String,
        /// The WIT type of its payload.
        expected: String,
    },
    /// A case that carries nothing, with a value.
    #[error("case `{case}` has no payload: expected \"{case}\", found {found}")]
    UnexpectedPayload {
        /// The case.
        case: String,
        /// The value.
        found: Found,
    },
    /// A map that should name exactly one case.
    #[error("expected {expected} as one case, found a map of {found}")]
    NotOneCase {
        /// The WIT type.
        expected: String,
        /// `0 entries`, `2 entries or more`.
        found: &'static str,
    },
    /// Fields that the value leaves out would take more memory than its own size warrants.
    #[error(
        "the fields that are left out would take too much memory: leave out fewer, or send less"
    )]
    TooMuchImplied,
}

impl Mismatch {
    pub(crate) fn of(shape: &Shape, found: Found) -> Self {
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

/// The nearest of `names`, or the first few of them.
fn hint(name: &str, names: &Names) -> String {
    if let Some(near) = nearest(name, names.as_slice()) {
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

/// The name that differs from `name` the least, if by little.
pub(crate) fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    // Names are short; a long text is none of them, and comparing it would cost its length squared.
    if name.len() > 64 {
        return None;
    }
    let folded = name.replace('_', "-").to_lowercase();
    let distance = |other: &str| edits(&folded, &other.to_lowercase());
    let (best, edits) =
        names.iter().take(256).map(|other| (other, distance(other))).min_by_key(|(_, d)| *d)?;
    let len = folded.chars().count();
    (edits < len.max(1) && edits <= 1 + len / 4).then_some(best.as_str())
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(80).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut last = i + 1;
        for (j, y) in b.iter().enumerate() {
            let (above, diagonal) = (
                row.get(j + 1).copied().unwrap_or_default(),
                row.get(j).copied().unwrap_or_default(),
            );
            let next = (diagonal + usize::from(x != *y)).min(above + 1).min(last + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = last;
            }
            last = next;
        }
        if let Some(cell) = row.last_mut() {
            *cell = last;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// An item of a list or a tuple, from 0.
    Index(usize),
    /// A field of a record, the payload of a case, a side of a result.
    Name(String),
    /// The value under a key of a map, the key as text.
    Key(String),
    /// The key itself of a map's entry, counted from 0.
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

/// A place in the arguments or the result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The argument, from 0, and its name; `None` is the result.
    pub argument: Option<(usize, String)>,
    /// The way from there to the value.
    pub path: Vec<Segment>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some((at, name)) => write!(f, "argument {} ({name})", at + 1)?,
            None => f.write_str("result")?,
        }
        self.path.iter().try_for_each(|segment| segment.fmt(f))
    }
}

/// Why arguments do not fit a signature.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A value that is not of its type.
    #[error("{place}: {mismatch}")]
    Value {
        /// Where.
        place: Place,
        /// How it differs.
        mismatch: Box<Mismatch>,
    },
    /// Too many arguments, or too few.
    #[error("expected {expected}, found {found}")]
    Count {
        /// How many, and which: `2 arguments (a: s32, b: s32)`.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// Something other than a list of arguments, or arguments by name that do not fit.
    #[error("{mismatch}")]
    Arguments {
        /// How they differ.
        mismatch: Box<Mismatch>,
    },
    /// The source itself is malformed: bad JSON, a `Serialize` that failed.
    #[error("{}{message}", match place { Some(place) => format!("{place}: "), None => "the arguments are malformed: ".to_owned() })]
    Source {
        /// How far it was understood.
        place: Option<Place>,
        /// What the source's own reader says.
        message: String,
    },
}

/// Why a result is not of the Rust type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct LiftError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl LiftError {
    pub(crate) fn at(mut self, segment: Segment) -> Self {
        // Errors climb out of the value: the innermost step was told first.
        self.place.path.insert(0, segment);
        self
    }
}

impl serde::de::Error for LiftError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let place = Place { argument: None, path: Vec::new() };
        Self { place, message: message.to_string() }
    }
}
