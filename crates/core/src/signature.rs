//! Signature of a function, in WIT terms.

mod wit;

use std::fmt;

/// A parameter of a function or a field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, as WIT writes it.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// One case of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The name, as WIT writes it.
    pub name: String,
    /// The payload's type, if the case has one.
    pub ty: Option<Type>,
}

/// A WIT type, by structure. A compiled component keeps the names of fields and cases, but not those of types.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the scalars are named as WIT names them")]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// `list<T>`
    List(Box<Type>),
    /// `list<T, N>`
    FixedList(Box<Type>, u32),
    /// `map<K, V>`
    Map(Box<Type>, Box<Type>),
    /// `tuple<…>`
    Tuple(Vec<Type>),
    /// `record { … }`
    Record(Vec<Field>),
    /// `variant { … }`
    Variant(Vec<Case>),
    /// `enum { … }`
    Enum(Vec<String>),
    /// `option<T>`
    Option(Box<Type>),
    /// `result<T, E>`; either side may be absent.
    Result {
        /// The type of the ok side.
        ok: Option<Box<Type>>,
        /// The type of the error side.
        err: Option<Box<Type>>,
    },
    /// `flags { … }`
    Flags(Vec<String>),
}

/// Parameters and result of a function. The [`Display`](fmt::Display) form is one line for people, with types
/// spelled out in place: `func(a: s32, b: s32) -> s32`. Tools use [`Signature::to_wit`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// The parameters, in order.
    pub params: Vec<Field>,
    /// The type of the result, if there is one.
    pub result: Option<Type>,
}

/// Writes `items` separated by commas.
fn commas<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    mut each: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        each(f, item)?;
    }
    Ok(())
}

fn braces(f: &mut fmt::Formatter<'_>, keyword: &str, names: &[String]) -> fmt::Result {
    write!(f, "{keyword} {{ ")?;
    commas(f, names, |f, name| f.write_str(name))?;
    f.write_str(" }")
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ty {
            Some(ty) => write!(f, "{}({ty})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::S8 => f.write_str("s8"),
            Self::U8 => f.write_str("u8"),
            Self::S16 => f.write_str("s16"),
            Self::U16 => f.write_str("u16"),
            Self::S32 => f.write_str("s32"),
            Self::U32 => f.write_str("u32"),
            Self::S64 => f.write_str("s64"),
            Self::U64 => f.write_str("u64"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::FixedList(item, len) => write!(f, "list<{item}, {len}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Tuple(items) => {
                f.write_str("tuple<")?;
                commas(f, items, |f, item| item.fmt(f))?;
                f.write_str(">")
            }
            Self::Record(fields) => {
                f.write_str("record { ")?;
                commas(f, fields, |f, field| field.fmt(f))?;
                f.write_str(" }")
            }
            Self::Variant(cases) => {
                f.write_str("variant { ")?;
                commas(f, cases, |f, case| case.fmt(f))?;
                f.write_str(" }")
            }
            Self::Enum(names) => braces(f, "enum", names),
            Self::Flags(names) => braces(f, "flags", names),
            Self::Option(some) => write!(f, "option<{some}>"),
            Self::Result { ok: None, err: None } => f.write_str("result"),
            Self::Result { ok: Some(ok), err: None } => write!(f, "result<{ok}>"),
            Self::Result { ok: None, err: Some(err) } => write!(f, "result<_, {err}>"),
            Self::Result { ok: Some(ok), err: Some(err) } => write!(f, "result<{ok}, {err}>"),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("func(")?;
        commas(f, &self.params, |f, param| param.fmt(f))?;
        f.write_str(")")?;
        match &self.result {
            Some(ty) => write!(f, " -> {ty}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, ty: Type) -> Field {
        Field { name: name.to_owned(), ty }
    }

    #[test]
    fn a_signature_reads_as_wit() {
        let user = Type::Record(vec![
            field("id", Type::U32),
            field("tags", Type::List(Box::new(Type::String))),
            field("key", Type::FixedList(Box::new(Type::U8), 4)),
        ]);
        let shape = Type::Variant(vec![
            Case { name: "dot".into(), ty: None },
            Case { name: "box".into(), ty: Some(Type::Tuple(vec![Type::F64, Type::F64])) },
        ]);
        let signature = Signature {
            params: vec![field("users", Type::List(Box::new(user))), field("shape", shape)],
            result: Some(Type::Result {
                ok: None,
                err: Some(Box::new(Type::Enum(vec!["gone".into()]))),
            }),
        };
        assert_eq!(
            signature.to_string(),
            "func(users: list<record { id: u32, tags: list<string>, key: list<u8, 4> }>, \
             shape: variant { dot, box(tuple<f64, f64>) }) -> result<_, enum { gone }>"
        );
        assert_eq!(Signature::default().to_string(), "func()");
    }
}
