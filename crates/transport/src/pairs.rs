//! Named texts (headers, a query, path parameters, a form) as one value, in the shapes that WIT has for them.

use std::borrow::Cow;

use crisol_core::{Field, Type, Value};

use crate::bad_request::{BadRequest, Place};
use crate::text;

/// Source of pairs. It decides how names are compared and how repeated names are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Headers,
    Query,
    Params,
    Form,
}

/// A name with one of its values.
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Cow<'a, [u8]>,
}

/// A row of the table of shapes.
pub(crate) struct Shape {
    pub(crate) types: &'static str,
    pub(crate) holds: &'static str,
    applies: fn(&Type) -> bool,
    value: fn(Kind, &[Pair<'_>], &Type) -> Result<Value, BadRequest>,
}

/// Shapes that hold pairs. `S` is `string` or `list<u8>`.
pub(crate) const SHAPES: &[Shape] = &[
    Shape {
        types: "`list<tuple<string, S>>`",
        holds: "every pair, in order",
        applies: |ty| {
            item(ty).is_some_and(|item| match item {
                Type::Tuple(parts) => matches!(parts.as_slice(), [Type::String, s] if is_text(s)),
                _ => false,
            })
        },
        value: |_, pairs, ty| {
            let bytes = matches!(item(ty), Some(Type::Tuple(parts)) if parts.last().is_some_and(text::is_bytes));
            let pair = |pair: &Pair<'_>| {
                Value::List(vec![Value::from(pair.name), one(&pair.value, bytes)])
            };
            Ok(Value::List(pairs.iter().map(pair).collect()))
        },
    },
    Shape {
        types: "`list<record { name: string, value: S }>`",
        holds: "every pair, in order",
        applies: |ty| name_value(ty).is_some(),
        value: |_, pairs, ty| {
            let bytes = name_value(ty).is_some_and(text::is_bytes);
            let pair = |pair: &Pair<'_>| {
                Value::Map(vec![
                    (Value::from("name"), Value::from(pair.name)),
                    (Value::from("value"), one(&pair.value, bytes)),
                ])
            };
            Ok(Value::List(pairs.iter().map(pair).collect()))
        },
    },
    Shape {
        types: "`map<string, S>`",
        holds: "each name once: the lines of a header joined by `, ` (`cookie`: `; `), of a query's key the last",
        applies: |ty| map_item(ty).is_some_and(is_text),
        value: |kind, pairs, ty| {
            let bytes = map_item(ty).is_some_and(text::is_bytes);
            Ok(map(kind, pairs, bytes))
        },
    },
    Shape {
        types: "`map<string, list<S>>`",
        holds: "each name once, with all of its values",
        applies: |ty| matches!(map_item(ty), Some(Type::List(s)) if is_text(s)),
        value: |_, pairs, ty| {
            let bytes = matches!(map_item(ty), Some(Type::List(s)) if text::is_bytes(s));
            Ok(grouped(pairs, |_, values| {
                Value::List(values.iter().map(|value| one(value, bytes)).collect())
            }))
        },
    },
    Shape {
        types: "`record { … }`",
        holds: "the pairs that are named as its fields, each read as text by its field's type",
        applies: |ty| matches!(ty, Type::Record(_)),
        value: |kind, pairs, ty| match ty {
            Type::Record(fields) => record(kind, pairs, fields),
            _ => Ok(Value::Null),
        },
    },
];

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

fn joined(kind: Kind, name: &str, values: &[&[u8]]) -> Vec<u8> {
    match kind {
        Kind::Headers if name == "cookie" => values.join(&b"; "[..]),
        Kind::Headers => values.join(&b", "[..]),
        Kind::Query | Kind::Params | Kind::Form => {
            values.last().copied().unwrap_or_default().to_vec()
        }
    }
}

fn map(kind: Kind, pairs: &[Pair<'_>], bytes: bool) -> Value {
    grouped(pairs, |name, values| one(&joined(kind, name, values), bytes))
}

/// A map with each name once and one text per name.
pub(crate) fn by_name(kind: Kind, pairs: &[Pair<'_>]) -> Value {
    map(kind, pairs, false)
}

/// Names in order of their first occurrence, each with all its values.
fn groups<'a>(pairs: &'a [Pair<'a>]) -> Vec<(&'a str, Vec<&'a [u8]>)> {
    let mut groups: Vec<(&str, Vec<&[u8]>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for pair in pairs {
        let at = *places.entry(pair.name).or_insert_with(|| {
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
        Ok((Value::from(name), text::read(ty, &texts, place(Kind::Form, name))?))
    };
    groups(pairs).into_iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
}

fn place(kind: Kind, name: &str) -> Place {
    match kind {
        Kind::Headers => Place::Header(name.to_owned()),
        Kind::Query => Place::Query(name.to_owned()),
        Kind::Params => Place::Path(name.to_owned()),
        Kind::Form => Place::Field(name.to_owned()),
    }
}

/// Reads the pairs named `field.name` by the field's type; `None` if there are none.
pub(crate) fn find(
    kind: Kind,
    pairs: &[Pair<'_>],
    field: &Field,
) -> Result<Option<Value>, BadRequest> {
    let same = |pair: &&Pair<'_>| match kind {
        Kind::Headers => pair.name.eq_ignore_ascii_case(&field.name),
        Kind::Query | Kind::Params | Kind::Form => text::same_name(pair.name, &field.name),
    };
    let texts: Vec<Cow<'_, str>> = pairs.iter().filter(same).map(|p| latin(&p.value)).collect();
    if texts.is_empty() {
        return Ok(None);
    }
    let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
    text::read(&field.ty, &texts, place(kind, &field.name)).map(Some)
}

fn record(kind: Kind, pairs: &[Pair<'_>], fields: &[Field]) -> Result<Value, BadRequest> {
    let entry = |field: &Field| {
        let value = match find(kind, pairs, field)? {
            Some(value) => value,
            None if matches!(field.ty, Type::Option(_)) => Value::Null,
            None => {
                let places = place(kind, &field.name).to_string();
                return Err(BadRequest::Missing { name: field.name.clone(), places });
            }
        };
        Ok((Value::from(field.name.as_str()), value))
    };
    fields.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
}

/// True if a type, or the type inside its option, is one of the shapes.
pub(crate) fn fits(ty: &Type) -> bool {
    SHAPES.iter().any(|shape| (shape.applies)(text::peel(ty)))
}

/// The pairs in the shape of a type that [`fits`].
pub(crate) fn value(kind: Kind, pairs: &[Pair<'_>], ty: &Type) -> Result<Value, BadRequest> {
    let ty = text::peel(ty);
    match SHAPES.iter().find(|shape| (shape.applies)(ty)) {
        Some(shape) => (shape.value)(kind, pairs, ty),
        None => Ok(Value::Null),
    }
}
