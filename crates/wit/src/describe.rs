//! Conversion of wasmtime's types to the plain [`Signature`], with the refusal of unsupported types.

use crisol_core::{Case, Field, Signature, Type, shorten};
use wasmtime::component::types;

/// Most parts of a signature, with all types spelled out. Types are structural: a few lines of WIT in which each record
/// holds the previous one twice would spell out to more than memory holds.
pub(crate) const MAX_PARTS: usize = 100_000;

/// Most bytes of all names in a signature: a name may have 100 000 bytes and is repeated at each use of its type.
pub(crate) const MAX_NAMES: usize = 4 << 20;

/// Reason that a function cannot be called with plain values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsupportedType {
    /// Handle, stream or future: a part of a running instance that has no plain value.
    #[error("{place} is {what}, which cannot be passed as a plain value")]
    NoPlainValue {
        /// Parameter or result, with the path in it.
        place: String,
        /// Term for the type: `a borrowed resource`, `a stream` …
        what: &'static str,
    },
    /// Types of the signature are too large when spelled out.
    #[error("{place} is part of a signature of over {MAX_PARTS} parts")]
    TooLarge {
        /// Parameter or result, with the path in it.
        place: String,
    },
    /// Names in the signature are too long in total when its types are spelled out.
    #[error("{place} is part of a signature with over {MAX_NAMES} bytes of names")]
    NamesTooLong {
        /// Parameter or result, with the path in it.
        place: String,
    },
    /// Type that this version does not know.
    #[error("the signature `{signature}` has an unsupported type")]
    Unknown {
        /// Signature as WIT.
        signature: String,
    },
}

/// Reads the types of `func`.
pub(crate) fn signature(func: &types::ComponentFunc) -> Result<Signature, UnsupportedType> {
    let mut reader = Reader { parts: 0, names: 0, path: Vec::new() };
    let mut params = Vec::with_capacity(func.params().len());
    for (at, (name, ty)) in func.params().enumerate() {
        reader.path.push(format!("parameter {} ({name})", at + 1));
        params.push(Field { name: reader.name(name)?, ty: reader.read(&ty)? });
        reader.path.pop();
    }
    let result = match func.results().next() {
        Some(ty) => Some(reader.at("the result".to_owned(), &ty)?),
        None => None,
    };
    Ok(Signature { params, result })
}

struct Reader {
    parts: usize,
    /// Bytes of names so far.
    names: usize,
    path: Vec<String>,
}

/// Most characters of a place in an error.
pub(crate) const LONGEST_PLACE: usize = 400;

impl Reader {
    fn place(&self) -> String {
        shorten(&self.path.concat(), LONGEST_PLACE).into_owned()
    }

    fn name(&mut self, name: &str) -> Result<String, UnsupportedType> {
        self.names += name.len();
        if self.names > MAX_NAMES {
            return Err(UnsupportedType::NamesTooLong { place: self.place() });
        }
        Ok(name.to_owned())
    }

    fn at(&mut self, step: String, ty: &types::Type) -> Result<Type, UnsupportedType> {
        self.path.push(step);
        let read = self.read(ty)?;
        self.path.pop();
        Ok(read)
    }

    fn boxed(&mut self, step: &str, ty: &types::Type) -> Result<Box<Type>, UnsupportedType> {
        self.at(step.to_owned(), ty).map(Box::new)
    }

    fn refused(&self, what: &'static str) -> UnsupportedType {
        UnsupportedType::NoPlainValue { place: self.place(), what }
    }

    fn count(&mut self, parts: usize) -> Result<(), UnsupportedType> {
        self.parts += parts;
        if self.parts > MAX_PARTS {
            return Err(UnsupportedType::TooLarge { place: self.place() });
        }
        Ok(())
    }

    fn read(&mut self, ty: &types::Type) -> Result<Type, UnsupportedType> {
        self.count(1)?;
        Ok(match ty {
            types::Type::Bool => Type::Bool,
            types::Type::S8 => Type::S8,
            types::Type::U8 => Type::U8,
            types::Type::S16 => Type::S16,
            types::Type::U16 => Type::U16,
            types::Type::S32 => Type::S32,
            types::Type::U32 => Type::U32,
            types::Type::S64 => Type::S64,
            types::Type::U64 => Type::U64,
            types::Type::Float32 => Type::F32,
            types::Type::Float64 => Type::F64,
            types::Type::Char => Type::Char,
            types::Type::String => Type::String,
            types::Type::List(list) => Type::List(self.boxed("[]", &list.ty())?),
            types::Type::FixedLengthList(list) => {
                Type::FixedList(self.boxed("[]", &list.ty())?, list.len())
            }
            types::Type::Map(map) => {
                Type::Map(self.boxed("[key]", &map.key())?, self.boxed("[]", &map.value())?)
            }
            types::Type::Option(option) => Type::Option(self.boxed("", &option.ty())?),
            types::Type::Own(_) => return Err(self.refused("a resource")),
            types::Type::Borrow(_) => return Err(self.refused("a borrowed resource")),
            types::Type::Future(_) => return Err(self.refused("a future")),
            types::Type::Stream(_) => return Err(self.refused("a stream")),
            types::Type::ErrorContext => return Err(self.refused("an error-context")),
            named => self.read_named(named)?,
        })
    }

    /// Reads types with names or several parts.
    fn read_named(&mut self, ty: &types::Type) -> Result<Type, UnsupportedType> {
        Ok(match ty {
            types::Type::Tuple(tuple) => {
                let items = tuple.types().enumerate();
                Type::Tuple(
                    items
                        .map(|(at, ty)| self.at(format!(".{at}"), &ty))
                        .collect::<Result<_, _>>()?,
                )
            }
            types::Type::Record(record) => {
                let field = |field: types::Field<'_>| {
                    let ty = self.at(format!(".{}", field.name), &field.ty)?;
                    Ok(Field { name: self.name(field.name)?, ty })
                };
                Type::Record(record.fields().map(field).collect::<Result<_, _>>()?)
            }
            types::Type::Variant(variant) => {
                let case = |case: types::Case<'_>| {
                    let ty = match &case.ty {
                        Some(ty) => Some(self.at(format!(".{}", case.name), ty)?),
                        None => None,
                    };
                    Ok(Case { name: self.name(case.name)?, ty })
                };
                Type::Variant(variant.cases().map(case).collect::<Result<_, _>>()?)
            }
            types::Type::Result(result) => {
                let ok = result.ok().map(|ty| self.boxed(".ok", &ty)).transpose()?;
                let err = result.err().map(|ty| self.boxed(".err", &ty)).transpose()?;
                Type::Result { ok, err }
            }
            types::Type::Enum(names) => Type::Enum(self.names(names.names())?),
            types::Type::Flags(names) => Type::Flags(self.names(names.names())?),
            _ => return Err(self.refused("of an unsupported type")),
        })
    }

    fn names<'a>(
        &mut self,
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Vec<String>, UnsupportedType> {
        self.count(names.len())?;
        names.map(|name| self.name(name)).collect()
    }
}
