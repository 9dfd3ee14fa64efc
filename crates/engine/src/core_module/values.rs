//! Numbers as core values and back.

use wasmtime::Val as Core;
use wasmtime::component::Val;

/// A number as a core value; none of any other value.
pub(super) fn lower(value: &Val) -> Option<Core> {
    Some(match *value {
        Val::Bool(value) => Core::I32(value.into()),
        Val::S8(value) => Core::I32(value.into()),
        Val::U8(value) => Core::I32(value.into()),
        Val::S16(value) => Core::I32(value.into()),
        Val::U16(value) => Core::I32(value.into()),
        Val::S32(value) => Core::I32(value),
        Val::U32(value) => Core::I32(value.cast_signed()),
        Val::S64(value) => Core::I64(value),
        Val::U64(value) => Core::I64(value.cast_signed()),
        Val::Float32(value) => Core::F32(value.to_bits()),
        Val::Float64(value) => Core::F64(value.to_bits()),
        Val::Char(value) => Core::I32(u32::from(value).cast_signed()),
        _ => return None,
    })
}

/// A core value as the number that a core type stands for.
pub(super) fn lift(value: &Core) -> Option<Val> {
    Some(match *value {
        Core::I32(value) => Val::S32(value),
        Core::I64(value) => Val::S64(value),
        Core::F32(bits) => Val::Float32(f32::from_bits(bits)),
        Core::F64(bits) => Val::Float64(f64::from_bits(bits)),
        _ => return None,
    })
}
