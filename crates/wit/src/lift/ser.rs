//! Component values into any serde format.

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer};
use wasmtime::component::Val;

use super::Lifted;
use crate::shape::{MapShape, Record, Shape};

impl Serialize for Lifted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.shape(), &self.value) {
            (Some(shape), Some(value)) => Typed { shape, value }.serialize(serializer),
            (None, None) => serializer.serialize_unit(),
            _ => Err(strange()),
        }
    }
}

/// A value that is not of its function's type: it came from some other function.
fn strange<E: Error>() -> E {
    E::custom("the value is not of the type that the function gives")
}

struct Typed<'a> {
    shape: &'a Shape,
    value: &'a Val,
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.shape, self.value) {
            (_, Val::Bool(v)) => serializer.serialize_bool(*v),
            (_, Val::S8(v)) => serializer.serialize_i8(*v),
            (_, Val::U8(v)) => serializer.serialize_u8(*v),
            (_, Val::S16(v)) => serializer.serialize_i16(*v),
            (_, Val::U16(v)) => serializer.serialize_u16(*v),
            (_, Val::S32(v)) => serializer.serialize_i32(*v),
            (_, Val::U32(v)) => serializer.serialize_u32(*v),
            (_, Val::S64(v)) => serializer.serialize_i64(*v),
            (_, Val::U64(v)) => serializer.serialize_u64(*v),
            (_, Val::Float32(v)) => match special(f64::from(*v)) {
                Some(name) if serializer.is_human_readable() => serializer.serialize_str(name),
                _ => serializer.serialize_f32(*v),
            },
            (_, Val::Float64(v)) => match special(*v) {
                Some(name) if serializer.is_human_readable() => serializer.serialize_str(name),
                _ => serializer.serialize_f64(*v),
            },
            (_, Val::Char(v)) => serializer.serialize_char(*v),
            (_, Val::String(v) | Val::Enum(v)) => serializer.serialize_str(v),
            (_, Val::Flags(names)) => serializer.collect_seq(names),
            (Shape::Bytes(_), Val::List(items) | Val::FixedLengthList(items)) => {
                serializer.serialize_bytes(&bytes(items))
            }
            (Shape::List(item), Val::List(items)) => sequence(serializer, item, items),
            (Shape::FixedList(item, _), Val::FixedLengthList(items)) => {
                sequence(serializer, item, items)
            }
            (Shape::Tuple(shapes), Val::Tuple(items)) => tuple(serializer, shapes, items),
            (Shape::Record(record), Val::Record(fields)) => map_of(serializer, record, fields),
            (Shape::Map(map), Val::Map(pairs)) => entries(serializer, map, pairs),
            (Shape::Option(option), Val::Option(value)) => match value {
                None => serializer.serialize_none(),
                Some(value) if option.marked => {
                    case(serializer, "some", Some(&option.some), Some(value))
                }
                Some(value) => serializer.serialize_some(&Typed { shape: &option.some, value }),
            },
            (Shape::Variant(variant), Val::Variant(name, payload)) => {
                let shape = variant.names.find(name).and_then(|at| variant.payloads.get(at));
                case(serializer, name, shape.and_then(Option::as_ref), payload.as_deref())
            }
            (Shape::Result(result), Val::Result(value)) => match value {
                Ok(ok) => side(serializer, "ok", result.ok.as_ref(), ok.as_deref()),
                Err(err) => side(serializer, "err", result.err.as_ref(), err.as_deref()),
            },
            _ => Err(strange()),
        }
    }
}

/// The name of a float that JSON has no number for.
pub(super) fn special(number: f64) -> Option<&'static str> {
    if number.is_finite() {
        None
    } else if number.is_nan() {
        Some("NaN")
    } else if number > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

pub(super) fn bytes(items: &[Val]) -> Vec<u8> {
    let byte = |item: &Val| match item {
        Val::U8(byte) => *byte,
        _ => 0,
    };
    items.iter().map(byte).collect()
}

fn sequence<S: Serializer>(serializer: S, shape: &Shape, items: &[Val]) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(items.len()))?;
    for value in items {
        seq.serialize_element(&Typed { shape, value })?;
    }
    seq.end()
}

fn tuple<S: Serializer>(serializer: S, shapes: &[Shape], items: &[Val]) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(items.len())?;
    for (shape, value) in shapes.iter().zip(items) {
        tuple.serialize_element(&Typed { shape, value })?;
    }
    tuple.end()
}

fn map_of<S: Serializer>(
    serializer: S,
    record: &Record,
    fields: &[(String, Val)],
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (shape, (name, value)) in record.shapes.iter().zip(fields) {
        map.serialize_entry(name, &Typed { shape, value })?;
    }
    map.end()
}

fn entries<S: Serializer>(
    serializer: S,
    shape: &MapShape,
    pairs: &[(Val, Val)],
) -> Result<S::Ok, S::Error> {
    let typed = |(key, value)| {
        (Typed { shape: shape.key(), value: key }, Typed { shape: shape.value(), value })
    };
    let pairs = pairs.iter().map(|(key, value)| typed((key, value)));
    if shape.has_text_keys() {
        serializer.collect_map(pairs)
    } else {
        serializer.collect_seq(pairs)
    }
}

/// `"case"` or `{"case": payload}`
fn case<S: Serializer>(
    serializer: S,
    name: &str,
    shape: Option<&Shape>,
    payload: Option<&Val>,
) -> Result<S::Ok, S::Error> {
    match (shape, payload) {
        (Some(shape), Some(value)) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(name, &Typed { shape, value })?;
            map.end()
        }
        (None, None) => serializer.serialize_str(name),
        _ => Err(strange()),
    }
}

/// `{"ok": …}` or `{"err": …}`, null where the side carries nothing.
fn side<S: Serializer>(
    serializer: S,
    name: &str,
    shape: Option<&Shape>,
    payload: Option<&Val>,
) -> Result<S::Ok, S::Error> {
    if let (None, None) = (shape, payload) {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(name, &())?;
        return map.end();
    }
    case(serializer, name, shape, payload)
}
