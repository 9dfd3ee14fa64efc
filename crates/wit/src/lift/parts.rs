//! Parts shared by all output formats: item counts, cases, names of special floats.

use crate::packed::{Malformed, Reader};
use crate::shape::Shape;

/// Number of items or pairs that follow, each of type `item`.
///
/// Refuses a count above the number of bytes left, before anything is allocated for it.
pub(super) fn count(item: &Shape, reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    let count = reader.count()?;
    in_bounds(item, count, *reader)
}

/// Number of items of a list of fixed length.
pub(super) fn fixed(item: &Shape, len: u32, reader: Reader<'_>) -> Result<usize, Malformed> {
    in_bounds(item, len as usize, reader)
}

fn in_bounds(item: &Shape, count: usize, reader: Reader<'_>) -> Result<usize, Malformed> {
    if count > reader.rest().len() && takes_room(item) { Err(Malformed) } else { Ok(count) }
}

/// Returns true if each value takes at least one byte. In components, all do.
fn takes_room(shape: &Shape) -> bool {
    match shape {
        Shape::Tuple(shapes) => shapes.iter().any(takes_room),
        Shape::Record(record) | Shape::Arguments(record) => record.shapes.iter().any(takes_room),
        Shape::FixedList(item, len) => *len > 0 && takes_room(item),
        Shape::Bytes(len) => *len != Some(0),
        Shape::Flags(names) => names.len() > 0,
        _ => true,
    }
}

/// Case of a value whose type has named cases.
pub(super) struct Case<'p> {
    pub(super) name: &'p str,
    /// Type of its payload; a value of it follows.
    pub(super) payload: Option<&'p Shape>,
    /// True if it is written as its name alone. An empty side of a `result` is not: its payload is null.
    pub(super) is_bare: bool,
}

impl<'p> Case<'p> {
    /// Reads up to the payload. Returns `None` for the inner none of a nested option.
    pub(super) fn read(
        shape: &'p Shape,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Self>, Malformed> {
        let (name, payload) = match shape {
            Shape::Variant(variant) => {
                let at = reader.case(variant.payloads.len())?;
                (variant.names.name(at), variant.payloads.get(at).and_then(Option::as_ref))
            }
            Shape::Enum(names) => (names.name(reader.case(names.len())?), None),
            Shape::Result(result) => match reader.bool()? {
                false => ("ok", result.ok.as_ref()),
                true => ("err", result.err.as_ref()),
            },
            Shape::Option(option) => match reader.bool()? {
                false => return Ok(None),
                true => ("some", Some(&option.some)),
            },
            _ => return Err(Malformed),
        };
        let is_bare = payload.is_none() && !matches!(shape, Shape::Result(_));
        Ok(Some(Self { name, payload, is_bare }))
    }
}

/// Name of a float that JSON has no number for.
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
