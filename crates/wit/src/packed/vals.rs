//! Conversion between packed values and wasmtime's own, for calls that take those.

use wasmtime::component::Val;

use super::{Malformed, Reader, push_case, push_flags};
use crate::shape::Shape;

/// Reads a value from the front of `reader`.
pub(crate) fn to_val(shape: &Shape, reader: &mut Reader<'_>) -> Result<Val, Malformed> {
    Ok(match shape {
        Shape::Bool => Val::Bool(reader.bool()?),
        Shape::S8 => Val::S8(reader.i8()?),
        Shape::U8 => Val::U8(reader.u8()?),
        Shape::S16 => Val::S16(reader.i16()?),
        Shape::U16 => Val::U16(reader.u16()?),
        Shape::S32 => Val::S32(reader.i32()?),
        Shape::U32 => Val::U32(reader.u32()?),
        Shape::S64 => Val::S64(reader.i64()?),
        Shape::U64 => Val::U64(reader.u64()?),
        Shape::F32 => Val::Float32(reader.f32()?),
        Shape::F64 => Val::Float64(reader.f64()?),
        Shape::Char => Val::Char(reader.char()?),
        Shape::String => Val::String(reader.text()?.to_owned()),
        Shape::Bytes(None) => Val::List(octets(reader.bytes()?)),
        Shape::Bytes(Some(len)) => Val::FixedLengthList(octets(reader.take(*len as usize)?)),
        Shape::List(item) => {
            let count = reader.count()?;
            Val::List(items(item, count, reader)?)
        }
        Shape::FixedList(item, len) => Val::FixedLengthList(items(item, *len as usize, reader)?),
        Shape::Map(map) => {
            let count = reader.count()?;
            let pairs =
                (0..count).map(|_| Ok((to_val(map.key(), reader)?, to_val(map.value(), reader)?)));
            Val::Map(pairs.collect::<Result<_, Malformed>>()?)
        }
        Shape::Tuple(shapes) => Val::Tuple(each(shapes, reader)?),
        Shape::Arguments(params) => Val::Tuple(each(&params.shapes, reader)?),
        Shape::Record(record) => {
            let mut fields = Vec::with_capacity(record.shapes.len());
            for (name, shape) in record.names.as_slice().iter().zip(&record.shapes) {
                fields.push((name.clone(), to_val(shape, reader)?));
            }
            Val::Record(fields)
        }
        Shape::Variant(variant) => {
            let at = reader.case(variant.payloads.len())?;
            let payload = payload(variant.payloads.get(at).and_then(Option::as_ref), reader)?;
            Val::Variant(variant.names.name(at).to_owned(), payload)
        }
        Shape::Enum(names) => Val::Enum(names.name(reader.case(names.len())?).to_owned()),
        Shape::Option(option) => match reader.bool()? {
            true => Val::Option(payload(Some(&option.some), reader)?),
            false => Val::Option(None),
        },
        Shape::Result(result) => Val::Result(match reader.bool()? {
            false => Ok(payload(result.ok.as_ref(), reader)?),
            true => Err(payload(result.err.as_ref(), reader)?),
        }),
        Shape::Flags(names) => {
            let set = reader.flags(names.len())?;
            Val::Flags(set.map(|at| names.name(at).to_owned()).collect())
        }
    })
}

fn octets(bytes: &[u8]) -> Vec<Val> {
    bytes.iter().copied().map(Val::U8).collect()
}

fn items(item: &Shape, count: usize, reader: &mut Reader<'_>) -> Result<Vec<Val>, Malformed> {
    (0..count).map(|_| to_val(item, reader)).collect()
}

fn each(shapes: &[Shape], reader: &mut Reader<'_>) -> Result<Vec<Val>, Malformed> {
    shapes.iter().map(|shape| to_val(shape, reader)).collect()
}

fn payload(shape: Option<&Shape>, reader: &mut Reader<'_>) -> Result<Option<Box<Val>>, Malformed> {
    shape.map(|shape| to_val(shape, reader).map(Box::new)).transpose()
}

/// Appends a value; fails when it is not of the type.
pub(crate) fn from_val(shape: &Shape, value: &Val, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match (shape, value) {
        (Shape::Bool, Val::Bool(v)) => out.push((*v).into()),
        (Shape::S8, Val::S8(v)) => out.extend(v.to_le_bytes()),
        (Shape::U8, Val::U8(v)) => out.push(*v),
        (Shape::S16, Val::S16(v)) => out.extend(v.to_le_bytes()),
        (Shape::U16, Val::U16(v)) => out.extend(v.to_le_bytes()),
        (Shape::S32, Val::S32(v)) => out.extend(v.to_le_bytes()),
        (Shape::U32, Val::U32(v)) => out.extend(v.to_le_bytes()),
        (Shape::S64, Val::S64(v)) => out.extend(v.to_le_bytes()),
        (Shape::U64, Val::U64(v)) => out.extend(v.to_le_bytes()),
        (Shape::F32, Val::Float32(v)) => out.extend(v.to_le_bytes()),
        (Shape::F64, Val::Float64(v)) => out.extend(v.to_le_bytes()),
        (Shape::Char, Val::Char(v)) => out.extend(u32::from(*v).to_le_bytes()),
        (Shape::String, Val::String(text)) => {
            count(out, text.len())?;
            out.extend_from_slice(text.as_bytes());
        }
        (Shape::Bytes(None), Val::List(items)) => {
            count(out, items.len())?;
            all(&Shape::U8, items, out)?;
        }
        (Shape::Bytes(Some(len)), Val::FixedLengthList(items)) if items.len() == *len as usize => {
            all(&Shape::U8, items, out)?;
        }
        _ => return compound_from_val(shape, value, out),
    }
    Ok(())
}

fn compound_from_val(shape: &Shape, value: &Val, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match (shape, value) {
        (Shape::List(item), Val::List(items)) => {
            count(out, items.len())?;
            all(item, items, out)?;
        }
        (Shape::FixedList(item, len), Val::FixedLengthList(items))
            if items.len() == *len as usize =>
        {
            all(item, items, out)?;
        }
        (Shape::Map(map), Val::Map(pairs)) => {
            count(out, pairs.len())?;
            for (key, value) in pairs {
                from_val(map.key(), key, out)?;
                from_val(map.value(), value, out)?;
            }
        }
        (Shape::Tuple(shapes), Val::Tuple(items)) => zip(shapes, items.iter(), out)?,
        (Shape::Arguments(params), Val::Tuple(items)) => zip(&params.shapes, items.iter(), out)?,
        (Shape::Record(record), Val::Record(fields)) => {
            zip(&record.shapes, fields.iter().map(|(_, value)| value), out)?;
        }
        (Shape::Variant(variant), Val::Variant(name, payload)) => {
            let at = variant.names.find(name).ok_or(Malformed)?;
            push_case(out, at, variant.payloads.len());
            carried(variant.payloads.get(at).and_then(Option::as_ref), payload.as_deref(), out)?;
        }
        (Shape::Enum(names), Val::Enum(name)) => {
            push_case(out, names.find(name).ok_or(Malformed)?, names.len());
        }
        (Shape::Option(option), Val::Option(value)) => {
            out.push(value.is_some().into());
            if let Some(value) = value {
                from_val(&option.some, value, out)?;
            }
        }
        (Shape::Result(result), Val::Result(value)) => {
            out.push(value.is_err().into());
            match value {
                Ok(payload) => carried(result.ok.as_ref(), payload.as_deref(), out)?,
                Err(payload) => carried(result.err.as_ref(), payload.as_deref(), out)?,
            }
        }
        (Shape::Flags(names), Val::Flags(set)) => {
            let find = |name: &String| names.find(name).ok_or(Malformed);
            let set: Vec<usize> = set.iter().map(find).collect::<Result<_, _>>()?;
            push_flags(out, set, names.len());
        }
        _ => return Err(Malformed),
    }
    Ok(())
}

fn count(out: &mut Vec<u8>, count: usize) -> Result<(), Malformed> {
    out.extend(u32::try_from(count).map_err(|_| Malformed)?.to_le_bytes());
    Ok(())
}

fn all(item: &Shape, items: &[Val], out: &mut Vec<u8>) -> Result<(), Malformed> {
    items.iter().try_for_each(|value| from_val(item, value, out))
}

fn zip<'v>(
    shapes: &[Shape],
    values: impl ExactSizeIterator<Item = &'v Val>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if values.len() != shapes.len() {
        return Err(Malformed);
    }
    shapes.iter().zip(values).try_for_each(|(shape, value)| from_val(shape, value, out))
}

fn carried(
    shape: Option<&Shape>,
    payload: Option<&Val>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    match (shape, payload) {
        (Some(shape), Some(value)) => from_val(shape, value, out),
        (None, None) => Ok(()),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
#[path = "../../tests/it/types.rs"]
#[expect(dead_code, reason = "types as text are for the other tests")]
mod types;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, proptest};

    use super::super::Reader;
    use super::{from_val, to_val, types};
    use crate::shape::Shape;

    proptest! {
        /// Both directions keep the bytes and the value, and leave no bytes over.
        #[test]
        fn values_are_packed_and_unpacked((ty, value) in types::any_type()
            .prop_flat_map(|ty| (Just(ty.clone()), types::any_value(&ty))))
        {
            let shape = Shape::new(&ty).unwrap();
            let mut packed = Vec::new();
            prop_assert!(from_val(&shape, &value, &mut packed).is_ok());
            let mut reader = Reader::new(&packed);
            let unpacked = to_val(&shape, &mut reader);
            prop_assert_eq!(unpacked.as_ref(), Ok(&value));
            prop_assert!(reader.rest().is_empty());
            let mut skipped = Reader::new(&packed);
            prop_assert!(skipped.skip(&shape).is_ok() && skipped.rest().is_empty());
            let mut again = Vec::new();
            prop_assert!(from_val(&shape, &value, &mut again).is_ok());
            prop_assert_eq!(again, packed);
        }
    }
}
