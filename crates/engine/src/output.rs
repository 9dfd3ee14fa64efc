//! Results of guests: their size, and the result of a program.

use crisol_wit::{Mapping, Packed};
use wasmtime::component::Val;

/// The size of a value's contents in bytes, by the canonical ABI: scalars by their width, text and lists by
/// their contents. Names of fields and cases belong to the type and are not counted.
pub(crate) fn size(value: &Val) -> u64 {
    match value {
        Val::Bool(_) | Val::S8(_) | Val::U8(_) | Val::Enum(_) => 1,
        Val::S16(_) | Val::U16(_) => 2,
        Val::S32(_) | Val::U32(_) | Val::Float32(_) | Val::Char(_) => 4,
        Val::S64(_) | Val::U64(_) | Val::Float64(_) => 8,
        Val::String(text) => text.len() as u64,
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => {
            items.iter().map(size).sum()
        }
        Val::Record(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        Val::Map(pairs) => pairs.iter().map(|(key, value)| size(key) + size(value)).sum(),
        Val::Variant(_, payload) | Val::Option(payload) => 1 + boxed(payload.as_deref()),
        Val::Result(Ok(payload) | Err(payload)) => 1 + boxed(payload.as_deref()),
        Val::Flags(names) => names.len().div_ceil(8) as u64,
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => 4,
    }
}

fn boxed(payload: Option<&Val>) -> u64 {
    payload.map_or(0, size)
}

/// Result of a program that succeeded.
pub(crate) fn success(mapping: &Mapping) -> Option<Packed> {
    mapping.pack_result(Some(Val::Result(Ok(None))))
}
