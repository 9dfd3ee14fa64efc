//! Generator of random types.

use arbitrary::{Result, Unstructured};
use crisol_core::{Case, Field, Type};

/// Any type, nested at most `depth` deep.
pub(crate) fn any_type(u: &mut Unstructured<'_>, depth: u8) -> Result<Type> {
    let boxed = |u: &mut Unstructured<'_>| any_type(u, depth - 1).map(Box::new);
    let side = |u: &mut Unstructured<'_>| Ok(if u.arbitrary()? { Some(boxed(u)?) } else { None });
    let is_leaf = depth == 0 || u.ratio(1, 3)?;
    Ok(match u.int_in_range(if is_leaf { 0..=14 } else { 15..=22 })? {
        0 => Type::Bool,
        1 => Type::S8,
        2 => Type::U8,
        3 => Type::S16,
        4 => Type::U16,
        5 => Type::S32,
        6 => Type::U32,
        7 => Type::S64,
        8 => Type::U64,
        9 => Type::F32,
        10 => Type::F64,
        11 => Type::Char,
        12 => Type::String,
        13 => Type::Enum(names(u)?),
        14 => Type::Flags(names(u)?),
        15 => Type::List(boxed(u)?),
        16 => Type::FixedList(boxed(u)?, u.int_in_range(1..=4)?),
        17 => Type::Map(boxed(u)?, boxed(u)?),
        18 => Type::Option(boxed(u)?),
        19 => Type::Result { ok: side(u)?, err: side(u)? },
        20 => {
            let len = u.int_in_range(1..=4)?;
            Type::Tuple((0..len).map(|_| any_type(u, depth - 1)).collect::<Result<_>>()?)
        }
        21 => {
            let names = names(u)?;
            let field = |name| Ok(Field { name, ty: any_type(u, depth - 1)? });
            Type::Record(names.into_iter().map(field).collect::<Result<_>>()?)
        }
        _ => {
            let names = names(u)?;
            let case = |name| Ok(Case { name, ty: side(u)?.map(|ty| *ty) });
            Type::Variant(names.into_iter().map(case).collect::<Result<_>>()?)
        }
    })
}

fn names(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let len = u.int_in_range(1..=5)?;
    let words = ["a", "b-c", "ok", "some", "type"];
    Ok(words.iter().take(len).map(|&word| word.to_owned()).collect())
}
