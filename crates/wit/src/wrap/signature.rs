//! Conversion of WIT's types to the plain [`Signature`].

use crisol_core::{Case, Field, Signature, Type, shorten};
use wit_parser::{Function, Resolve, TypeDefKind};

use crate::describe::{LONGEST_PLACE, MAX_NAMES, MAX_PARTS, UnsupportedType};

type Read<T> = Result<T, UnsupportedType>;

/// Reads the types of `func`.
pub(super) fn of(resolve: &Resolve, func: &Function) -> Read<Signature> {
    let mut reader = Reader { resolve, parts: 0, names: 0, path: Vec::new() };
    let mut params = Vec::with_capacity(func.params.len());
    for (at, param) in func.params.iter().enumerate() {
        reader.path.push(format!("parameter {} ({})", at + 1, param.name));
        params.push(Field { name: reader.name(&param.name)?, ty: reader.read(&param.ty)? });
        reader.path.pop();
    }
    let result = func.result.as_ref().map(|ty| reader.at("the result", ty)).transpose()?;
    Ok(Signature { params, result })
}

struct Reader<'r> {
    resolve: &'r Resolve,
    parts: usize,
    /// Bytes of names so far.
    names: usize,
    path: Vec<String>,
}

impl Reader<'_> {
    fn place(&self) -> String {
        shorten(&self.path.concat(), LONGEST_PLACE).into_owned()
    }

    fn name(&mut self, name: &str) -> Read<String> {
        self.names += name.len();
        if self.names > MAX_NAMES {
            return Err(UnsupportedType::NamesTooLong { place: self.place() });
        }
        Ok(name.to_owned())
    }

    fn refused(&self, what: &'static str) -> UnsupportedType {
        UnsupportedType::NoPlainValue { place: self.place(), what }
    }

    fn count(&mut self, parts: usize) -> Read<()> {
        self.parts += parts;
        if self.parts > MAX_PARTS {
            return Err(UnsupportedType::TooLarge { place: self.place() });
        }
        Ok(())
    }

    fn at(&mut self, step: impl Into<String>, ty: &wit_parser::Type) -> Read<Type> {
        self.path.push(step.into());
        let read = self.read(ty)?;
        self.path.pop();
        Ok(read)
    }

    fn boxed(&mut self, step: &str, ty: &wit_parser::Type) -> Read<Box<Type>> {
        self.at(step, ty).map(Box::new)
    }

    fn read(&mut self, ty: &wit_parser::Type) -> Read<Type> {
        use wit_parser::Type as Wit;
        self.count(1)?;
        Ok(match ty {
            Wit::Bool => Type::Bool,
            Wit::S8 => Type::S8,
            Wit::U8 => Type::U8,
            Wit::S16 => Type::S16,
            Wit::U16 => Type::U16,
            Wit::S32 => Type::S32,
            Wit::U32 => Type::U32,
            Wit::S64 => Type::S64,
            Wit::U64 => Type::U64,
            Wit::F32 => Type::F32,
            Wit::F64 => Type::F64,
            Wit::Char => Type::Char,
            Wit::String => Type::String,
            Wit::ErrorContext => return Err(self.refused("an error-context")),
            Wit::Id(id) => match self.resolve.types.get(*id) {
                Some(def) => self.defined(&def.kind)?,
                None => return Err(self.refused(UNKNOWN)),
            },
        })
    }

    fn defined(&mut self, kind: &TypeDefKind) -> Read<Type> {
        Ok(match kind {
            // Alias of another type.
            TypeDefKind::Type(ty) => self.read(ty)?,
            TypeDefKind::List(item) => Type::List(self.boxed("[]", item)?),
            TypeDefKind::FixedLengthList(item, len) => {
                Type::FixedList(self.boxed("[]", item)?, *len)
            }
            TypeDefKind::Map(key, value) => {
                Type::Map(self.boxed("[key]", key)?, self.boxed("[]", value)?)
            }
            TypeDefKind::Option(some) => Type::Option(self.boxed("", some)?),
            TypeDefKind::Result(result) => {
                let ok = result.ok.as_ref().map(|ty| self.boxed(".ok", ty)).transpose()?;
                let err = result.err.as_ref().map(|ty| self.boxed(".err", ty)).transpose()?;
                Type::Result { ok, err }
            }
            TypeDefKind::Tuple(tuple) => {
                let items = tuple.types.iter().enumerate();
                let items = items.map(|(at, ty)| self.at(format!(".{at}"), ty));
                Type::Tuple(items.collect::<Read<_>>()?)
            }
            TypeDefKind::Record(record) => {
                let field = |field: &wit_parser::Field| {
                    let ty = self.at(format!(".{}", field.name), &field.ty)?;
                    Ok(Field { name: self.name(&field.name)?, ty })
                };
                Type::Record(record.fields.iter().map(field).collect::<Read<_>>()?)
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| {
                    let payload = case.ty.as_ref();
                    let ty =
                        payload.map(|ty| self.at(format!(".{}", case.name), ty)).transpose()?;
                    Ok(Case { name: self.name(&case.name)?, ty })
                };
                Type::Variant(variant.cases.iter().map(case).collect::<Read<_>>()?)
            }
            TypeDefKind::Enum(of) => {
                let names: Vec<&str> = of.cases.iter().map(|case| case.name.as_str()).collect();
                Type::Enum(self.names(&names)?)
            }
            TypeDefKind::Flags(of) => {
                let names: Vec<&str> = of.flags.iter().map(|flag| flag.name.as_str()).collect();
                Type::Flags(self.names(&names)?)
            }
            TypeDefKind::Handle(wit_parser::Handle::Borrow(_)) => {
                return Err(self.refused("a borrowed resource"));
            }
            TypeDefKind::Handle(_) | TypeDefKind::Resource => {
                return Err(self.refused("a resource"));
            }
            TypeDefKind::Future(_) => return Err(self.refused("a future")),
            TypeDefKind::Stream(_) => return Err(self.refused("a stream")),
            TypeDefKind::Unknown => return Err(self.refused(UNKNOWN)),
        })
    }

    fn names(&mut self, names: &[&str]) -> Read<Vec<String>> {
        self.count(names.len())?;
        names.iter().map(|name| self.name(name)).collect()
    }
}

const UNKNOWN: &str = "of an unsupported type";
