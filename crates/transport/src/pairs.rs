//! Named texts (headers, a query, path parameters, a form) as one value, in the shapes that WIT has for them.

use std::borrow::Cow;

use crisol_core::{Field, Type, Value};

use crate::bad_request::{BadRequest, Location};
use crate::text;

/// Source of pairs. It decides how names are compared and how repeated names are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairSource {
    Headers,
    Query,
    Path,
    Form,
}

/// A name with one of its values.
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Cow<'a, [u8]>,
}

/// A type's shape for pairs. Below, `S` is `string` or `list<u8>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairsShape {
    /// `list<tuple<string, S>>`.
    Tuples,
    /// `list<record { name: string, value: S }>`.
    Records,
    /// `map<string, S>`.
    Map,
    /// `map<string, list<S>>`.
    MultiMap,
    /// A record whose fields are names.
    Fields,
}

impl PairsShape {
    /// The shape of a type, if it has one.
    fn of(ty: &Type) -> Option<Self> {
        if matches!(item(ty), Some(Type::Tuple(parts)) if matches!(parts.as_slice(), [Type::String, s] if is_text(s)))
        {
            Some(Self::Tuples)
        } else if name_value(ty).is_some() {
            Some(Self::Records)
        } else if map_item(ty).is_some_and(is_text) {
            Some(Self::Map)
        } else if matches!(map_item(ty), Some(Type::List(s)) if is_text(s)) {
            Some(Self::MultiMap)
        } else {
            matches!(ty, Type::Record(_)).then_some(Self::Fields)
        }
    }

    fn value(self, source: PairSource, pairs: &[Pair<'_>], ty: &Type) -> Result<Value, BadRequest> {
        Ok(match self {
            Self::Tuples => {
                let bytes = matches!(item(ty), Some(Type::Tuple(parts)) if parts.last().is_some_and(text::is_bytes));
                let tuple = |pair: &Pair<'_>| {
                    Value::List(vec![Value::from(pair.name), one(&pair.value, bytes)])
                };
                Value::List(pairs.iter().map(tuple).collect())
            }
            Self::Records => {
                let bytes = name_value(ty).is_some_and(text::is_bytes);
                let record = |pair: &Pair<'_>| {
                    Value::Map(vec![
                        (Value::from("name"), Value::from(pair.name)),
                        (Value::from("value"), one(&pair.value, bytes)),
                    ])
                };
                Value::List(pairs.iter().map(record).collect())
            }
            Self::Map => map(source, pairs, map_item(ty).is_some_and(text::is_bytes)),
            Self::MultiMap => {
                let bytes = matches!(map_item(ty), Some(Type::List(s)) if text::is_bytes(s));
                grouped(pairs, |_, values| {
                    Value::List(values.iter().map(|value| one(value, bytes)).collect())
                })
            }
            Self::Fields => match ty {
                Type::Record(fields) => return record(source, pairs, fields),
                _ => Value::Null,
            },
        })
    }
}

fn is_text(ty: &Type) -> bool {
    *ty == Type::String || text::is_bytes(ty)
}

fn item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::List(item) => Some(item),
        _ => None,
    }
}

fn map_item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Map(key, item) if **key == Type::String => Some(item),
        _ => None,
    }
}

fn name_value(ty: &Type) -> Option<&Type> {
    match item(ty)? {
        Type::Record(fields) => match fields.as_slice() {
            [name, value]
                if name.name == "name"
                    && name.ty == Type::String
                    && value.name == "value"
                    && is_text(&value.ty) =>
            {
                Some(&value.ty)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Decodes a header's value as UTF-8, or as Latin-1 if it is not UTF-8. Queries and paths are always UTF-8.
pub(crate) fn latin(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

fn one(value: &[u8], bytes: bool) -> Value {
    if bytes { Value::Bytes(value.to_vec()) } else { Value::Text(latin(value).into_owned()) }
}

fn joined(source: PairSource, name: &str, values: &[&[u8]]) -> Vec<u8> {
    match source {
        PairSource::Headers if name == "cookie" => values.join(&b"; "[..]),
        PairSource::Headers => values.join(&b", "[..]),
        PairSource::Query | PairSource::Path | PairSource::Form => {
            values.last().copied().unwrap_or_default().to_vec()
        }
    }
}

fn map(source: PairSource, pairs: &[Pair<'_>], bytes: bool) -> Value {
    grouped(pairs, |name, values| one(&joined(source, name, values), bytes))
}

/// A map with each name once and one text per name.
pub(crate) fn by_name(source: PairSource, pairs: &[Pair<'_>]) -> Value {
    map(source, pairs, false)
}

/// Names in order of their first occurrence, each with all its values.
fn groups<'a>(pairs: &'a [Pair<'a>]) -> Vec<(&'a str, Vec<&'a [u8]>)> {
    let mut groups: Vec<(&str, Vec<&[u8]>)> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    for pair in pairs {
        let at = *positions.entry(pair.name).or_insert_with(|| {
            groups.push((pair.name, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, values)) = groups.get_mut(at) {
            values.push(&pair.value);
        }
    }
    groups
}

fn grouped(pairs: &[Pair<'_>], write: impl Fn(&str, &[&[u8]]) -> Value) -> Value {
    let entry = |(name, values): (&str, Vec<&[u8]>)| (Value::from(name), write(name, &values));
    Value::Map(groups(pairs).into_iter().map(entry).collect())
}

/// A map with each name of a form once, its texts read by the type.
pub(crate) fn read_each(pairs: &[Pair<'_>], ty: &Type) -> Result<Value, BadRequest> {
    let entry = |(name, values): (&str, Vec<&[u8]>)| {
        let texts: Vec<Cow<'_, str>> = values.into_iter().map(latin).collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        Ok((Value::from(name), text::read(ty, &texts, location(PairSource::Form, name))?))
    };
    groups(pairs).into_iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
}

fn location(source: PairSource, name: &str) -> Location {
    match source {
        PairSource::Headers => Location::Header(name.to_owned()),
        PairSource::Query => Location::Query(name.to_owned()),
        PairSource::Path => Location::Path(name.to_owned()),
        PairSource::Form => Location::Field(name.to_owned()),
    }
}

/// Reads the pairs named `field.name` by the field's type; `None` if there are none.
pub(crate) fn find(
    source: PairSource,
    pairs: &[Pair<'_>],
    field: &Field,
) -> Result<Option<Value>, BadRequest> {
    let same = |pair: &&Pair<'_>| match source {
        PairSource::Headers => pair.name.eq_ignore_ascii_case(&field.name),
        PairSource::Query | PairSource::Path | PairSource::Form => {
            text::same_name(pair.name, &field.name)
        }
    };
    let texts: Vec<Cow<'_, str>> = pairs.iter().filter(same).map(|p| latin(&p.value)).collect();
    if texts.is_empty() {
        return Ok(None);
    }
    let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
    text::read(&field.ty, &texts, location(source, &field.name)).map(Some)
}

fn record(source: PairSource, pairs: &[Pair<'_>], fields: &[Field]) -> Result<Value, BadRequest> {
    let entry = |field: &Field| {
        let value = match find(source, pairs, field)? {
            Some(value) => value,
            None if matches!(field.ty, Type::Option(_)) => Value::Null,
            None => {
                let locations = location(source, &field.name).to_string();
                return Err(BadRequest::Missing { name: field.name.clone(), locations });
            }
        };
        Ok((Value::from(field.name.as_str()), value))
    };
    fields.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
}

/// True if a type, or the type inside its option, has a shape for pairs.
pub(crate) fn fits(ty: &Type) -> bool {
    PairsShape::of(text::peel(ty)).is_some()
}

/// The pairs in the shape of a type that [`fits`].
pub(crate) fn value(
    source: PairSource,
    pairs: &[Pair<'_>],
    ty: &Type,
) -> Result<Value, BadRequest> {
    let ty = text::peel(ty);
    match PairsShape::of(ty) {
        Some(shape) => shape.value(source, pairs, ty),
        None => Ok(Value::Null),
    }
}
