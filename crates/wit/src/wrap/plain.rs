//! Check that functions in WIT text can be called with plain values: done here to report names, because the encoder and
//! the engine would report binary sections.

use std::collections::HashSet;

use wit_parser::{Resolve, Type, TypeDefKind, TypeId, WorldId};

use super::WrapError;
use super::module::Outside;
use super::wit;

/// Most flags of one type.
const MAX_FLAGS: usize = 32;

/// Refuses handles, streams, futures and other unsupported types in the functions of `world`.
pub(super) fn check(outside: &Outside, resolve: &Resolve, world: WorldId) -> Result<(), WrapError> {
    // Metadata of a bindings generator fits its own module; the called function is checked when it loads.
    if outside.has_metadata {
        return Ok(());
    }
    let mut walk = Walk { resolve, path: Vec::new(), seen: HashSet::new() };
    for target in wit::targets(outside, resolve, world)? {
        let params = target.func.params.iter().enumerate();
        let params = params.map(|(at, it)| (format!("parameter {} ({})", at + 1, it.name), &it.ty));
        let result = target.func.result.iter().map(|ty| ("the result".to_owned(), ty));
        for (step, ty) in params.chain(result) {
            walk.at(step, ty).map_err(|(place, what)| WrapError::UnsupportedType {
                function: target.func.name.clone(),
                place,
                what,
            })?;
        }
    }
    Ok(())
}

/// Place and type found.
type Refused = (String, String);

struct Walk<'r> {
    resolve: &'r Resolve,
    path: Vec<String>,
    /// Accepted types: they are shared, and many more when spelled out.
    seen: HashSet<TypeId>,
}

impl Walk<'_> {
    fn at(&mut self, step: String, ty: &Type) -> Result<(), Refused> {
        self.path.push(step);
        self.ty(ty)?;
        self.path.pop();
        Ok(())
    }

    fn all<'t>(&mut self, steps: impl Iterator<Item = (String, &'t Type)>) -> Result<(), Refused> {
        for (step, ty) in steps {
            self.at(step, ty)?;
        }
        Ok(())
    }

    fn refused(&self, what: &str) -> Result<(), Refused> {
        Err((self.path.concat(), format!("{what}, which cannot be passed as a plain value")))
    }

    fn ty(&mut self, ty: &Type) -> Result<(), Refused> {
        let id = match ty {
            Type::Id(id) => *id,
            Type::ErrorContext => return self.refused("an error-context"),
            _ => return Ok(()),
        };
        if !self.seen.contains(&id) {
            let resolve = self.resolve;
            if let Some(def) = resolve.types.get(id) {
                self.kind(&def.kind)?;
            }
            self.seen.insert(id);
        }
        Ok(())
    }

    fn kind(&mut self, kind: &TypeDefKind) -> Result<(), Refused> {
        let named = |name: &String| format!(".{name}");
        match kind {
            TypeDefKind::Handle(wit_parser::Handle::Borrow(_)) => {
                self.refused("a borrowed resource")
            }
            TypeDefKind::Handle(_) | TypeDefKind::Resource => self.refused("a resource"),
            TypeDefKind::Stream(_) => self.refused("a stream"),
            TypeDefKind::Future(_) => self.refused("a future"),
            TypeDefKind::Flags(flags) if flags.flags.len() > MAX_FLAGS => {
                let found = flags.flags.len();
                let what = format!("a set of {found} flags, and components allow {MAX_FLAGS}");
                Err((self.path.concat(), what))
            }
            TypeDefKind::Type(ty) | TypeDefKind::Option(ty) => self.at(String::new(), ty),
            TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _) => {
                self.at("[]".to_owned(), item)
            }
            TypeDefKind::Map(key, value) => {
                self.at("[key]".to_owned(), key)?;
                self.at("[]".to_owned(), value)
            }
            TypeDefKind::Record(record) => {
                self.all(record.fields.iter().map(|field| (named(&field.name), &field.ty)))
            }
            TypeDefKind::Tuple(tuple) => {
                self.all(tuple.types.iter().enumerate().map(|(at, ty)| (format!(".{at}"), ty)))
            }
            TypeDefKind::Variant(variant) => self.all(
                variant
                    .cases
                    .iter()
                    .filter_map(|case| Some((named(&case.name), case.ty.as_ref()?))),
            ),
            TypeDefKind::Result(result) => {
                let ok = result.ok.iter().map(|ty| (".ok".to_owned(), ty));
                self.all(ok.chain(result.err.iter().map(|ty| (".err".to_owned(), ty))))
            }
            _ => Ok(()),
        }
    }
}
