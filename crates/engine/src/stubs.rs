//! Stubs for imports without a grant. Every imported function is defined, so that the guest can be
//! instantiated; a stub returns an empty value or fails the call.

use std::future::ready;

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Linker, LinkerInstance, ResourceType, Val};

use crate::capability::ImportedInterface;
use crate::denied::Denial;
use crate::releases::Ungranted;

/// An imported interface with functions that the host lacks or the guest is not granted.
pub(crate) struct Restriction<'a> {
    pub(crate) import: &'a ImportedInterface<'a>,
    /// Treatment of functions that the host defines, if the interface is not granted.
    pub(crate) ungranted: Ungranted,
    pub(crate) granted: bool,
    /// True if the host defines its resource types.
    pub(crate) has_types: bool,
    /// Returns true if a grant would serve a function that is not defined yet.
    pub(crate) would_define: &'a dyn Fn(&str) -> bool,
}

/// Functions of an interface that fail the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stubs {
    /// Functions that a grant would serve.
    pub(crate) denied: Vec<String>,
    /// Functions that the host does not have.
    pub(crate) missing: Vec<String>,
}

impl Stubs {
    fn add(&mut self, function: &str, offered: bool) {
        let stubs = if offered { &mut self.denied } else { &mut self.missing };
        stubs.push(function.to_owned());
    }
}

impl Restriction<'_> {
    /// Defines stubs at `place` for functions of the import that the host lacks or the guest is not granted.
    ///
    /// The host's own resource types stay, since granted interfaces refer to them (`wasi:cli/stdout` returns
    /// streams of `wasi:io`). An interface that the host lacks gets types of its own.
    pub(crate) fn apply<T: Send + 'static>(
        &self,
        linker: &mut Linker<T>,
        place: &str,
    ) -> wasmtime::Result<Stubs> {
        let ImportedInterface { engine, name, ty, .. } = *self.import;
        let mut stubs = Stubs::default();
        let mut defined = Vec::new();
        // Without shadowing, a second definition is an error, which shows that the host has the function.
        linker.allow_shadowing(false);
        let mut into = linker.instance(place)?;
        for (function, item) in ty.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(func) => {
                    let offered = !self.granted && (self.would_define)(function);
                    match deny(&mut into, name, function, func.async_(), offered) {
                        Ok(()) => stubs.add(function, offered),
                        Err(_) => defined.push((function, func)),
                    }
                }
                ComponentItem::Resource(_) if !self.has_types => {
                    let ty = ResourceType::host::<StubResource>();
                    let _ = into.resource(function, ty, |_, _| Ok(()));
                }
                _ => {}
            }
        }
        if self.granted {
            return Ok(stubs);
        }
        linker.allow_shadowing(true);
        let mut into = linker.instance(place)?;
        for (function, func) in defined {
            match (self.ungranted, empty_value(&func)) {
                (Ungranted::Served, _) => {}
                (Ungranted::Empty, Some(empty)) => answer(&mut into, function, empty)?,
                _ => {
                    deny(&mut into, name, function, func.async_(), true)?;
                    stubs.add(function, true);
                }
            }
        }
        Ok(stubs)
    }
}

/// The empty value of a function's result type, if there is one.
fn empty_value(func: &ComponentFunc) -> Option<Val> {
    let mut results = func.results();
    match (func.async_(), results.next(), results.next()) {
        (false, Some(Type::List(_)), None) => Some(Val::List(Vec::new())),
        (false, Some(Type::Option(_)), None) => Some(Val::Option(None)),
        (false, Some(Type::U64), None) if func.params().len() == 0 => Some(Val::U64(0)),
        _ => None,
    }
}

fn answer<T: Send + 'static>(
    into: &mut LinkerInstance<'_, T>,
    function: &str,
    empty: Val,
) -> wasmtime::Result<()> {
    into.func_new(function, move |_: StoreContextMut<'_, T>, _, _, results| {
        if let Some(slot) = results.first_mut() {
            *slot = empty.clone();
        }
        Ok(())
    })
}

/// Defines a function that fails the call.
pub(crate) fn deny<T: Send + 'static>(
    into: &mut LinkerInstance<'_, T>,
    interface: &str,
    function: &str,
    asynchronous: bool,
    offered: bool,
) -> wasmtime::Result<()> {
    let (interface, function_name) = (interface.to_owned(), function.to_owned());
    let (grant, reason) = (None, None);
    let denial = Denial { interface, function: function_name, offered, grant, reason };
    if asynchronous {
        return into.func_new_concurrent(function, move |_, _, _, _| {
            Box::pin(ready(Err(wasmtime::Error::new(denial.clone()))))
        });
    }
    into.func_new(function, move |_: StoreContextMut<'_, T>, _, _, _| {
        Err(wasmtime::Error::new(denial.clone()))
    })
}

/// The resource type of a stub; no function that could create one ever returns.
struct StubResource;
