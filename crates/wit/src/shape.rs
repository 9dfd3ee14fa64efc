//! Executable form of a WIT type: lookups that every value needs are prepared here, once.
//!
//! Independent of wasmtime; made from the plain description in [`crisol_core::Type`].

use std::collections::HashMap;

use crisol_core::{Case, Field, Type};

/// Number of names from which a hash table is faster than comparing one by one.
const INDEX_FROM: usize = 12;

/// WIT type, prepared for lifting and lowering.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// `list<u8>` and `list<u8, N>`, for which serde has a form of its own.
    Bytes(Option<u32>),
    List(Box<Shape>),
    FixedList(Box<Shape>, u32),
    Map(Box<MapShape>),
    Tuple(Box<[Shape]>),
    Record(Record),
    Variant(Variant),
    Enum(Names),
    Option(Box<OptionShape>),
    Result(Box<ResultShape>),
    Flags(Names),
    /// All arguments of a call: the root, never inside another shape.
    Arguments(Record),
}

/// Two sides of `result<T, E>`; either may have no value.
#[derive(Debug, Clone)]
pub(crate) struct ResultShape {
    pub(crate) ok: Option<Shape>,
    pub(crate) err: Option<Shape>,
}

/// `map<K, V>`
#[derive(Debug, Clone)]
pub(crate) struct MapShape {
    /// Tuple of key and value: one entry when the map is written as pairs.
    pub(crate) pair: Shape,
}

impl MapShape {
    fn new(key: Shape, value: Shape) -> Self {
        Self { pair: Shape::Tuple(Box::new([key, value])) }
    }

    fn side(&self, at: usize) -> &Shape {
        match &self.pair {
            Shape::Tuple(sides) => sides.get(at).unwrap_or(&self.pair),
            other => other,
        }
    }

    pub(crate) fn key(&self) -> &Shape {
        self.side(0)
    }

    pub(crate) fn value(&self) -> &Shape {
        self.side(1)
    }

    /// Returns true if the map has the form of a map in every format; else it is written as pairs.
    pub(crate) fn has_text_keys(&self) -> bool {
        matches!(self.key(), Shape::String | Shape::Char | Shape::Enum(_))
    }
}

/// `option<T>`
#[derive(Debug, Clone)]
pub(crate) struct OptionShape {
    pub(crate) some: Shape,
    /// True if `T` is an option itself, so a present value needs a mark: `{"some": …}`.
    pub(crate) marked: bool,
}

/// `record { … }`
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) names: Names,
    pub(crate) shapes: Box<[Shape]>,
}

/// `variant { … }`
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) names: Names,
    pub(crate) payloads: Box<[Option<Shape>]>,
}

/// Names of fields, cases or flags in order, found by their WIT spelling or in `snake_case`. WIT names have no `_`, so
/// the two spellings never collide.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    names: Box<[String]>,
    /// Each name as a later key of a JSON object: `,"name":`.
    keys: Box<[Box<str>]>,
    /// Second spelling of each name, where there is one: `snake_case` for `kebab-case`.
    aliases: Box<[Option<String>]>,
    index: Option<HashMap<String, usize>>,
}

impl Names {
    fn new(names: Vec<String>) -> Self {
        let aliases: Vec<_> =
            names.iter().map(|name| name.contains('-').then(|| name.replace('-', "_"))).collect();
        let index = (names.len() >= INDEX_FROM).then(|| {
            let spelled = |at: usize, name: &String| (name.clone(), at);
            let own = names.iter().enumerate().map(|(at, name)| spelled(at, name));
            let other = aliases.iter().enumerate();
            own.chain(other.filter_map(|(at, name)| Some(spelled(at, name.as_ref()?)))).collect()
        });
        // Text always has a JSON form.
        let quote = |name| serde_json::to_string(name).unwrap_or_default();
        let keys = names.iter().map(|name| format!(",{}:", quote(name)).into()).collect();
        Self { names: names.into(), keys, aliases: aliases.into(), index }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }

    /// Names as keys in JSON: `,"name":`.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }

    /// Second spelling of the name at `at`, if it has one.
    pub(crate) fn alias(&self, at: usize) -> Option<&str> {
        self.aliases.get(at)?.as_deref()
    }

    #[inline]
    fn is(&self, at: usize, text: &str) -> bool {
        self.names.get(at).is_some_and(|name| name == text)
            || matches!(self.aliases.get(at), Some(Some(alias)) if alias == text)
    }

    /// Position of `text`, tried first at `likely`: most sources follow the order of the type.
    #[inline]
    pub(crate) fn find_from(&self, likely: usize, text: &str) -> Option<usize> {
        if self.is(likely, text) { Some(likely) } else { self.find(text) }
    }

    pub(crate) fn find(&self, text: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(text).copied(),
            None => (0..self.names.len()).find(|at| self.is(*at, text)),
        }
    }
}

impl Shape {
    /// Makes the shape of `ty`; `None` for an unknown type.
    pub(crate) fn new(ty: &Type) -> Option<Self> {
        Some(match ty {
            Type::Bool => Self::Bool,
            Type::S8 => Self::S8,
            Type::U8 => Self::U8,
            Type::S16 => Self::S16,
            Type::U16 => Self::U16,
            Type::S32 => Self::S32,
            Type::U32 => Self::U32,
            Type::S64 => Self::S64,
            Type::U64 => Self::U64,
            Type::F32 => Self::F32,
            Type::F64 => Self::F64,
            Type::Char => Self::Char,
            Type::String => Self::String,
            Type::List(item) if **item == Type::U8 => Self::Bytes(None),
            Type::List(item) => Self::List(boxed(item)?),
            Type::FixedList(item, len) if **item == Type::U8 => Self::Bytes(Some(*len)),
            Type::FixedList(item, len) => Self::FixedList(boxed(item)?, *len),
            Type::Map(key, value) => {
                Self::Map(Box::new(MapShape::new(Self::new(key)?, Self::new(value)?)))
            }
            Type::Tuple(items) => Self::Tuple(items.iter().map(Self::new).collect::<Option<_>>()?),
            Type::Record(fields) => Self::Record(Record::new(fields)?),
            Type::Variant(cases) => Self::Variant(Variant::new(cases)?),
            Type::Enum(names) => Self::Enum(Names::new(names.clone())),
            Type::Option(some) => Self::Option(Box::new(OptionShape {
                some: Self::new(some)?,
                marked: matches!(**some, Type::Option(_)),
            })),
            Type::Result { ok, err } => {
                Self::Result(Box::new(ResultShape { ok: side(ok)?, err: side(err)? }))
            }
            Type::Flags(names) => Self::Flags(Names::new(names.clone())),
            // `Type` is non-exhaustive: types unknown to this crate are refused at load.
            _ => return None,
        })
    }

    /// Description that the shape was made from, for messages.
    pub(crate) fn describe(&self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::S8 => Type::S8,
            Self::U8 => Type::U8,
            Self::S16 => Type::S16,
            Self::U16 => Type::U16,
            Self::S32 => Type::S32,
            Self::U32 => Type::U32,
            Self::S64 => Type::S64,
            Self::U64 => Type::U64,
            Self::F32 => Type::F32,
            Self::F64 => Type::F64,
            Self::Char => Type::Char,
            Self::String => Type::String,
            Self::Bytes(None) => Type::List(Box::new(Type::U8)),
            Self::Bytes(Some(len)) => Type::FixedList(Box::new(Type::U8), *len),
            Self::List(item) => Type::List(Box::new(item.describe())),
            Self::FixedList(item, len) => Type::FixedList(Box::new(item.describe()), *len),
            Self::Map(map) => {
                Type::Map(Box::new(map.key().describe()), Box::new(map.value().describe()))
            }
            Self::Tuple(items) => Type::Tuple(items.iter().map(Self::describe).collect()),
            Self::Record(record) => Type::Record(record.describe()),
            Self::Variant(variant) => Type::Variant(variant.describe()),
            Self::Enum(names) => Type::Enum(names.as_slice().to_vec()),
            Self::Option(option) => Type::Option(Box::new(option.some.describe())),
            Self::Result(result) => Type::Result {
                ok: result.ok.as_ref().map(|ok| Box::new(ok.describe())),
                err: result.err.as_ref().map(|err| Box::new(err.describe())),
            },
            Self::Flags(names) => Type::Flags(names.as_slice().to_vec()),
            Self::Arguments(params) => {
                Type::Tuple(params.shapes.iter().map(Self::describe).collect())
            }
        }
    }

    pub(crate) fn is_option(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}

fn boxed(ty: &Type) -> Option<Box<Shape>> {
    Shape::new(ty).map(Box::new)
}

/// Shape of one side of a result: the type may be absent, but not unknown.
#[expect(clippy::option_option, reason = "absent side within an answer that may fail")]
fn side(ty: &Option<Box<Type>>) -> Option<Option<Shape>> {
    match ty {
        Some(ty) => Shape::new(ty).map(Some),
        None => Some(None),
    }
}

impl Record {
    pub(crate) fn new(fields: &[Field]) -> Option<Self> {
        Some(Self {
            names: Names::new(fields.iter().map(|field| field.name.clone()).collect()),
            shapes: fields.iter().map(|field| Shape::new(&field.ty)).collect::<Option<_>>()?,
        })
    }

    pub(crate) fn describe(&self) -> Vec<Field> {
        let names = self.names.as_slice().iter().cloned();
        let types = self.shapes.iter().map(Shape::describe);
        names.zip(types).map(|(name, ty)| Field { name, ty }).collect()
    }
}

impl Variant {
    fn new(cases: &[Case]) -> Option<Self> {
        let payload = |case: &Case| match &case.ty {
            Some(ty) => Shape::new(ty).map(Some),
            None => Some(None),
        };
        Some(Self {
            names: Names::new(cases.iter().map(|case| case.name.clone()).collect()),
            payloads: cases.iter().map(payload).collect::<Option<_>>()?,
        })
    }

    fn describe(&self) -> Vec<Case> {
        let names = self.names.as_slice().iter().cloned();
        let types = self.payloads.iter().map(|payload| payload.as_ref().map(Shape::describe));
        names.zip(types).map(|(name, ty)| Case { name, ty }).collect()
    }
}
