//! Component values as the dynamic tree.

use crisol_core::Value;
use wasmtime::component::Val;

use super::ser::bytes;
use crate::shape::Shape;

/// The tree of `value`. Where the shape does not tell more, the value speaks for itself: so there is
/// nothing that could fail.
pub(crate) fn value(shape: Option<&Shape>, value: &Val) -> Value {
    match value {
        Val::Bool(v) => Value::Bool(*v),
        Val::S8(v) => Value::Int((*v).into()),
        Val::U8(v) => Value::Int((*v).into()),
        Val::S16(v) => Value::Int((*v).into()),
        Val::U16(v) => Value::Int((*v).into()),
        Val::S32(v) => Value::Int((*v).into()),
        Val::U32(v) => Value::Int((*v).into()),
        Val::S64(v) => Value::Int(*v),
        Val::U64(v) => Value::from(*v),
        Val::Float32(v) => Value::Float((*v).into()),
        Val::Float64(v) => Value::Float(*v),
        Val::Char(v) => Value::Text((*v).into()),
        Val::String(v) | Val::Enum(v) => Value::Text(v.clone()),
        Val::Flags(names) => Value::List(names.iter().map(|name| text(name)).collect()),
        _ => compound(shape, value),
    }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn case(name: &str, payload: Value) -> Value {
    Value::Map(vec![(text(name), payload)])
}

fn boxed(shape: Option<&Shape>, payload: Option<&Val>) -> Value {
    payload.map_or(Value::Null, |payload| value(shape, payload))
}

fn compound(shape: Option<&Shape>, of: &Val) -> Value {
    match (of, shape) {
        (Val::List(items) | Val::FixedLengthList(items), Some(Shape::Bytes(_))) => {
            Value::Bytes(bytes(items))
        }
        (
            Val::List(items) | Val::FixedLengthList(items),
            Some(Shape::List(item) | Shape::FixedList(item, _)),
        ) => Value::List(items.iter().map(|each| value(Some(item), each)).collect()),
        (Val::Tuple(items), Some(Shape::Tuple(shapes))) => {
            let typed = items.iter().zip(shapes);
            Value::List(typed.map(|(each, shape)| value(Some(shape), each)).collect())
        }
        (Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items), _) => {
            Value::List(items.iter().map(|each| value(None, each)).collect())
        }
        (Val::Record(fields), shape) => {
            let shape = |at| match shape {
                Some(Shape::Record(record)) => record.shapes.get(at),
                _ => None,
            };
            let field =
                |(at, (name, each)): (usize, &(String, Val))| (text(name), value(shape(at), each));
            Value::Map(fields.iter().enumerate().map(field).collect())
        }
        (Val::Map(pairs), Some(Shape::Map(map))) => {
            let pairs =
                pairs.iter().map(|(k, v)| (value(Some(map.key()), k), value(Some(map.value()), v)));
            if map.has_text_keys() {
                Value::Map(pairs.collect())
            } else {
                Value::List(pairs.map(|(k, v)| Value::List(vec![k, v])).collect())
            }
        }
        (Val::Map(pairs), _) => {
            Value::Map(pairs.iter().map(|(k, v)| (value(None, k), value(None, v))).collect())
        }
        _ => choice(shape, of),
    }
}

/// One of several cases.
fn choice(shape: Option<&Shape>, of: &Val) -> Value {
    match (of, shape) {
        (Val::Option(None), _) => Value::Null,
        (Val::Option(Some(some)), Some(Shape::Option(option))) => {
            let inner = value(Some(&option.some), some);
            if option.marked { case("some", inner) } else { inner }
        }
        (Val::Option(Some(some)), _) => value(None, some),
        (Val::Variant(name, None), _) => text(name),
        (Val::Variant(name, Some(payload)), shape) => {
            let shape = match shape {
                Some(Shape::Variant(variant)) => {
                    variant.names.find(name).and_then(|at| variant.payloads.get(at)?.as_ref())
                }
                _ => None,
            };
            case(name, value(shape, payload))
        }
        (Val::Result(side), shape) => {
            let (ok, err) = match shape {
                Some(Shape::Result(result)) => (result.ok.as_ref(), result.err.as_ref()),
                _ => (None, None),
            };
            match side {
                Ok(payload) => case("ok", boxed(ok, payload.as_deref())),
                Err(payload) => case("err", boxed(err, payload.as_deref())),
            }
        }
        // Handles and streams, which `Mapping::new` refuses.
        _ => Value::Null,
    }
}
