//! Packed values as the dynamic tree.

use crisol_core::Value;

use super::parts::{Case, count, fixed};
use crate::packed::{Malformed, Reader};
use crate::shape::Shape;

/// Tree of the value at `reader`, which advances to its end.
pub(crate) fn value(shape: &Shape, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    Ok(match shape {
        Shape::Bool => Value::Bool(reader.bool()?),
        Shape::S8 => Value::Int(reader.i8()?.into()),
        Shape::U8 => Value::Int(reader.u8()?.into()),
        Shape::S16 => Value::Int(reader.i16()?.into()),
        Shape::U16 => Value::Int(reader.u16()?.into()),
        Shape::S32 => Value::Int(reader.i32()?.into()),
        Shape::U32 => Value::Int(reader.u32()?.into()),
        Shape::S64 => Value::Int(reader.i64()?),
        Shape::U64 => Value::from(reader.u64()?),
        Shape::F32 => Value::Float(reader.f32()?.into()),
        Shape::F64 => Value::Float(reader.f64()?),
        Shape::Char => Value::Text(reader.char()?.into()),
        Shape::String => Value::from(reader.text()?),
        Shape::Bytes(None) => Value::Bytes(reader.bytes()?.to_vec()),
        Shape::Bytes(Some(len)) => Value::Bytes(reader.take(*len as usize)?.to_vec()),
        Shape::List(item) => {
            let count = count(item, reader)?;
            items(item, count, reader)?
        }
        Shape::FixedList(item, len) => {
            let count = fixed(item, *len, *reader)?;
            items(item, count, reader)?
        }
        Shape::Map(map) => {
            let count = count(&map.pair, reader)?;
            if !map.has_text_keys() {
                return items(&map.pair, count, reader);
            }
            let pair = |_| Ok((value(map.key(), reader)?, value(map.value(), reader)?));
            Value::Map((0..count).map(pair).collect::<Result<_, Malformed>>()?)
        }
        Shape::Tuple(shapes) => Value::List(each(shapes, reader)?),
        Shape::Arguments(params) => Value::List(each(&params.shapes, reader)?),
        Shape::Record(record) => {
            let names = record.names.as_slice().iter();
            let field = |(name, shape): (&String, _)| {
                Ok((Value::from(name.as_str()), value(shape, reader)?))
            };
            Value::Map(names.zip(&record.shapes).map(field).collect::<Result<_, Malformed>>()?)
        }
        Shape::Flags(names) => {
            let set = reader.flags(names.len())?;
            Value::List(set.map(|at| Value::from(names.name(at))).collect())
        }
        Shape::Option(option) if !option.marked => match reader.bool()? {
            false => Value::Null,
            true => value(&option.some, reader)?,
        },
        Shape::Variant(_) | Shape::Enum(_) | Shape::Result(_) | Shape::Option(_) => {
            case(shape, reader)?
        }
    })
}

/// One tree for each shape.
pub(crate) fn each(shapes: &[Shape], reader: &mut Reader<'_>) -> Result<Vec<Value>, Malformed> {
    shapes.iter().map(|shape| value(shape, reader)).collect()
}

fn items(item: &Shape, count: usize, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    (0..count).map(|_| value(item, reader)).collect::<Result<_, _>>().map(Value::List)
}

/// Tree of a value of a type with cases.
fn case(shape: &Shape, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    let Some(Case { name, payload, is_bare }) = Case::read(shape, reader)? else {
        return Ok(Value::Null);
    };
    let name = Value::from(name);
    if is_bare {
        return Ok(name);
    }
    let payload = payload.map_or(Ok(Value::Null), |shape| value(shape, reader))?;
    Ok(Value::Map(vec![(name, payload)]))
}
