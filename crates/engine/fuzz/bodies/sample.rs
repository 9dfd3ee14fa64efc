//! Arguments for functions of any type.

use crisol_core::{Field, Type};

/// A sample value of a type, as text.
pub(crate) fn sample(ty: &Type, depth: usize) -> Option<String> {
    let inner = |ty: &Type| sample(ty, depth.checked_sub(1)?);
    Some(match ty {
        Type::Bool => "true".to_owned(),
        Type::S8 | Type::S16 | Type::S32 | Type::S64 => "-7".to_owned(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => "7".to_owned(),
        Type::F32 | Type::F64 => "0.5".to_owned(),
        Type::Char => "'x'".to_owned(),
        Type::String => "\"aé\"".to_owned(),
        Type::List(item) => format!("[{}]", inner(item)?),
        Type::FixedList(item, len) if *len <= 16 => {
            let item = inner(item)?;
            format!("[{}]", vec![item; usize::try_from(*len).ok()?].join(", "))
        }
        Type::Map(key, value) => format!("[({}, {})]", inner(key)?, inner(value)?),
        Type::Tuple(items) => {
            let items: Option<Vec<_>> = items.iter().map(inner).collect();
            format!("({})", items?.join(", "))
        }
        Type::Record(fields) => {
            let field = |field: &Field| Some(format!("%{}: {}", field.name, inner(&field.ty)?));
            let fields: Option<Vec<_>> = fields.iter().map(field).collect();
            format!("{{{}}}", fields?.join(", "))
        }
        Type::Variant(cases) => {
            let case = cases.first()?;
            match &case.ty {
                Some(ty) => format!("%{}({})", case.name, inner(ty)?),
                None => format!("%{}", case.name),
            }
        }
        Type::Enum(names) => format!("%{}", names.first()?),
        Type::Option(some) => format!("some({})", inner(some)?),
        Type::Result { ok: Some(ok), .. } => format!("ok({})", inner(ok)?),
        Type::Result { ok: None, .. } => "ok".to_owned(),
        Type::Flags(names) => format!("{{%{}}}", names.first()?),
        _ => return None,
    })
}
