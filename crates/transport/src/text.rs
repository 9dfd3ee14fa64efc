//! Texts of a path, query, header or form, read by type.

use crisol_core::{Type, Value};

use crate::bad_request::{BadRequest, Place, quote};

/// A row of the table of texts: the types, their notation, and the code that reads it.
pub(crate) struct Rule {
    pub(crate) types: &'static str,
    pub(crate) written: &'static str,
    pub(crate) applies: fn(&Type) -> bool,
    read: fn(&Type, &str) -> Option<Value>,
}

/// Notation of types in positions that hold text. The first rule that applies is used.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        types: "`string`, `char`",
        written: "as it is",
        applies: |ty| matches!(ty, Type::String | Type::Char),
        read: |ty, text| {
            let fits = *ty == Type::String || text.chars().count() == 1;
            fits.then(|| Value::from(text))
        },
    },
    Rule {
        types: "`bool`",
        written: "`true` or `false`",
        applies: |ty| *ty == Type::Bool,
        read: |_, text| text.parse().ok().map(Value::Bool),
    },
    Rule {
        types: "integers",
        written: "decimal digits, `-` before negative ones; in the type's range",
        applies: |ty| integer_range(ty).is_some(),
        read: integer,
    },
    Rule {
        types: "`f32`, `f64`",
        written: "a number, or `NaN`, `Infinity`, `-Infinity`",
        applies: |ty| matches!(ty, Type::F32 | Type::F64),
        read: |_, text| float(text),
    },
    Rule {
        types: "`enum`",
        written: "the case's name",
        applies: |ty| matches!(ty, Type::Enum(_)),
        read: |ty, text| match ty {
            Type::Enum(cases) => {
                cases.iter().find(|case| same_name(case, text)).map(|case| Value::from(&**case))
            }
            _ => None,
        },
    },
    Rule {
        types: "`list<u8>`",
        written: "the text's UTF-8 bytes",
        applies: is_bytes,
        read: |_, text| Some(Value::Bytes(text.as_bytes().to_vec())),
    },
    Rule {
        types: "`flags`, and `list<T>` of any of the above",
        written: "one item for each time the name is given: `?tag=a&tag=b`",
        applies: |ty| item_type(ty).is_some(),
        read: |_, _| None,
    },
    Rule {
        types: "`option<T>`",
        written: "as `T`; absent for none",
        applies: |ty| matches!(ty, Type::Option(_)),
        read: |_, _| None,
    },
    Rule {
        types: "any other type",
        written: "JSON",
        applies: |_| true,
        read: |_, text| serde_json::from_str(text).ok(),
    },
];

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
        Type::List(item) => {
            let nested = item_type(item).is_some() || is_bytes(item);
            let scalar = RULES.iter().take(5).any(|rule| (rule.applies)(item));
            (scalar && !nested).then(|| (**item).clone())
        }
        Type::Flags(names) => Some(Type::Enum(names.clone())),
        _ => None,
    }
}

/// Reads all texts given for a name. `texts` is not empty.
///
/// # Errors
/// Fails if a text is not valid for the type, or if a type that accepts one text has several.
pub(crate) fn read(ty: &Type, texts: &[&str], place: Place) -> Result<Value, BadRequest> {
    if let Type::Option(some) = ty {
        return read(some, texts, place);
    }
    if let Some(item) = item_type(ty).filter(|_| !is_bytes(ty)) {
        let items = texts.iter().map(|text| read_one(&item, text, &place));
        return items.collect::<Result<_, _>>().map(Value::List);
    }
    match texts {
        [text] => read_one(ty, text, &place),
        several => Err(BadRequest::Mismatch {
            place,
            expected: format!("one {ty}"),
            found: format!("{} of them", several.len()),
        }),
    }
}

fn read_one(ty: &Type, text: &str, place: &Place) -> Result<Value, BadRequest> {
    let rule = RULES.iter().find(|rule| (rule.applies)(ty));
    rule.and_then(|rule| (rule.read)(ty, text)).ok_or_else(|| BadRequest::Mismatch {
        place: place.clone(),
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
        let found = read(ty, texts, Place::Query("q".to_owned())).map_err(|e| e.to_string());
        assert_eq!(found, expected.map_err(|text| format!("query parameter `q`: {text}")));
    }

    #[test]
    fn each_type_has_its_spelling() {
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
    fn names_and_lists_and_json() {
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
        check(&Type::U32, &["1", "2"], Err("expected one u32, found 2 of them"));
    }
}
