//! Texts of a path, query, header or form, read by type.

use crisol_core::{Type, Value};

use crate::bad_request::{BadRequest, Location, quote};

/// Notation of a type in positions that hold text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    Verbatim,
    Bool,
    Integer,
    Float,
    CaseName,
    Bytes,
    /// One text for each item.
    Repeated,
    Optional,
    Json,
}

impl Notation {
    fn of(ty: &Type) -> Self {
        match ty {
            Type::String | Type::Char => Self::Verbatim,
            Type::Bool => Self::Bool,
            Type::F32 | Type::F64 => Self::Float,
            Type::Enum(_) => Self::CaseName,
            Type::Option(_) => Self::Optional,
            ty if integer_range(ty).is_some() => Self::Integer,
            ty if is_bytes(ty) => Self::Bytes,
            ty if item_type(ty).is_some() => Self::Repeated,
            _ => Self::Json,
        }
    }

    fn is_scalar(self) -> bool {
        matches!(self, Self::Verbatim | Self::Bool | Self::Integer | Self::Float | Self::CaseName)
    }

    fn read(self, ty: &Type, text: &str) -> Option<Value> {
        match self {
            Self::Verbatim => {
                let fits = *ty == Type::String || text.chars().count() == 1;
                fits.then(|| Value::from(text))
            }
            Self::Bool => text.parse().ok().map(Value::Bool),
            Self::Integer => integer(ty, text),
            Self::Float => float(text),
            Self::CaseName => match ty {
                Type::Enum(cases) => {
                    cases.iter().find(|case| same_name(case, text)).map(|case| Value::from(&**case))
                }
                _ => None,
            },
            Self::Bytes => Some(Value::Bytes(text.as_bytes().to_vec())),
            Self::Repeated | Self::Optional => None,
            Self::Json => serde_json::from_str(text).ok(),
        }
    }
}

/// True if two names are the same: `user-id` in WIT is often `user_id` in paths and JSON.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().map(fold).eq(b.bytes().map(fold))
}

/// Folds a byte of a name for comparison.
pub(crate) fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte }
}

/// True for `list<u8>`.
pub(crate) fn is_bytes(ty: &Type) -> bool {
    matches!(ty, Type::List(item) if **item == Type::U8)
}

/// The type inside an option, or the type itself.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Option(some) => some,
        other => other,
    }
}

/// The minimum and maximum of an integer type.
pub(crate) fn integer_range(ty: &Type) -> Option<(i128, i128)> {
    Some(match ty {
        Type::U8 => (0, u8::MAX.into()),
        Type::U16 => (0, u16::MAX.into()),
        Type::U32 => (0, u32::MAX.into()),
        Type::U64 => (0, u64::MAX.into()),
        Type::S8 => (i8::MIN.into(), i8::MAX.into()),
        Type::S16 => (i16::MIN.into(), i16::MAX.into()),
        Type::S32 => (i32::MIN.into(), i32::MAX.into()),
        Type::S64 => (i64::MIN.into(), i64::MAX.into()),
        _ => return None,
    })
}

fn integer(ty: &Type, text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (least, greatest) = integer_range(ty)?;
    let number: i128 = text.parse().ok()?;
    if number < least || number > greatest {
        return None;
    }
    let wide = || u64::try_from(number).ok().map(Value::from);
    i64::try_from(number).ok().map(Value::Int).or_else(wide)
}

fn float(text: &str) -> Option<Value> {
    let number = match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        digits if digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
            digits.parse().ok()?
        }
        _ => return None,
    };
    Some(Value::Float(number))
}

/// The type of a single occurrence, for types that accept several.
pub(crate) fn item_type(ty: &Type) -> Option<Type> {
    match ty {
        Type::List(item) => Notation::of(item).is_scalar().then(|| (**item).clone()),
        Type::Flags(names) => Some(Type::Enum(names.clone())),
        _ => None,
    }
}

/// Reads all texts given for a name. `texts` is not empty.
///
/// # Errors
/// Fails if a text is not valid for the type, or if a type that accepts one text has several.
pub(crate) fn read(ty: &Type, texts: &[&str], location: Location) -> Result<Value, BadRequest> {
    if let Type::Option(some) = ty {
        return read(some, texts, location);
    }
    if let Some(item) = item_type(ty).filter(|_| !is_bytes(ty)) {
        let items = texts.iter().map(|text| read_one(&item, text, &location));
        return items.collect::<Result<_, _>>().map(Value::List);
    }
    match texts {
        [text] => read_one(ty, text, &location),
        several => Err(BadRequest::Mismatch {
            location,
            expected: format!("one {ty}"),
            found: format!("{} values", several.len()),
        }),
    }
}

fn read_one(ty: &Type, text: &str, location: &Location) -> Result<Value, BadRequest> {
    Notation::of(ty).read(ty, text).ok_or_else(|| BadRequest::Mismatch {
        location: location.clone(),
        expected: ty.to_string(),
        found: quote(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(item: Type) -> Type {
        Type::List(Box::new(item))
    }

    fn check(ty: &Type, texts: &[&str], expected: Result<Value, &str>) {
        let found = read(ty, texts, Location::Query("q".to_owned())).map_err(|e| e.to_string());
        assert_eq!(found, expected.map_err(|text| format!("query parameter `q`: {text}")));
    }

    #[test]
    fn each_type_has_its_notation() {
        check(&Type::String, &["a b"], Ok(Value::from("a b")));
        check(&Type::Char, &["é"], Ok(Value::from("é")));
        check(&Type::Char, &["ab"], Err("expected char, found `ab`"));
        check(&Type::Bool, &["true"], Ok(Value::Bool(true)));
        check(&Type::Bool, &["1"], Err("expected bool, found `1`"));
        check(&Type::U8, &["255"], Ok(Value::Int(255)));
        check(&Type::U8, &["256"], Err("expected u8, found `256`"));
        check(&Type::U8, &["+1"], Err("expected u8, found `+1`"));
        check(&Type::U64, &["18446744073709551615"], Ok(Value::UInt(u64::MAX)));
        check(&Type::S64, &["-9223372036854775808"], Ok(Value::Int(i64::MIN)));
        check(&Type::S32, &[""], Err("expected s32, found ``"));
        check(&Type::F64, &["1e3"], Ok(Value::Float(1000.0)));
        check(&Type::F64, &["inf"], Err("expected f64, found `inf`"));
        check(&Type::F32, &["-Infinity"], Ok(Value::Float(f64::NEG_INFINITY)));
    }

    #[test]
    fn names_lists_and_json_are_read() {
        let colour = Type::Enum(vec!["dark-red".to_owned()]);
        check(&colour, &["dark_red"], Ok(Value::from("dark-red")));
        check(&colour, &["blue"], Err("expected enum { dark-red }, found `blue`"));
        check(&list(Type::U8), &["hé"], Ok(Value::Bytes("hé".into())));
        let (one, two) = (Value::Int(1), Value::Int(2));
        check(&list(Type::U32), &["1", "2"], Ok(Value::List(vec![one.clone(), two.clone()])));
        check(&list(Type::U32), &["1", "x"], Err("expected u32, found `x`"));
        let flags = Type::Flags(vec!["read".to_owned(), "write".to_owned()]);
        check(&flags, &["write"], Ok(Value::List(vec![Value::from("write")])));
        check(&flags, &["run"], Err("expected enum { read, write }, found `run`"));
        check(
            &list(list(Type::U32)),
            &["[[1],[]]"],
            Ok(Value::List(vec![Value::List(vec![one]), Value::List(vec![])])),
        );
        check(&Type::Option(Box::new(Type::U32)), &["2"], Ok(two));
        check(&Type::U32, &["1", "2"], Err("expected one u32, found 2 values"));
    }
}
