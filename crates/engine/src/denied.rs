//! Stand-ins for imports that a guest has and its entry does not grant.

use std::future::ready;

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{LinkerInstance, ResourceType};
use wasmtime::{Engine, StoreContextMut};

/// A call that the guest made to something it was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest called `{interface}#{function}`, which it was not granted")]
pub struct Denial {
    /// The interface, as the guest imports it; empty for a function imported by itself.
    pub interface: String,
    /// The function.
    pub function: String,
    /// Whether the host has such a function and would link it if the entry asked.
    pub offered: bool,
}

/// What the host has of an interface that it does not grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Nothing: it does not know the interface.
    None,
    /// Functions, which are defined for those alone that are granted them.
    Functions,
    /// Functions and resource types, all of them defined.
    All,
}

/// Defines every function of `wanted` as one that fails the call, so that the guest can be
/// instantiated; of an interface the host does not know, its resource types too.
///
/// `into` may hold the host's own definitions already: its resource types stay, since granted
/// interfaces refer to them (`wasi:cli/stdout` gives out the streams of `wasi:io`).
pub(crate) fn deny_instance<T: Send + 'static>(
    engine: &Engine,
    into: &mut LinkerInstance<'_, T>,
    interface: &str,
    wanted: &ComponentInstance,
    offer: Offer,
) -> wasmtime::Result<()> {
    for (name, item) in wanted.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(func) => {
                deny_function(into, interface, name, func.async_(), offer)?;
            }
            ComponentItem::Resource(_) if offer != Offer::All => {
                into.resource(name, ResourceType::host::<Unreachable>(), |_, _| Ok(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Defines one function as one that fails the call.
pub(crate) fn deny_function<T: Send + 'static>(
    into: &mut LinkerInstance<'_, T>,
    interface: &str,
    function: &str,
    asynchronous: bool,
    offer: Offer,
) -> wasmtime::Result<()> {
    let offered = offer != Offer::None;
    let denial = Denial { interface: interface.to_owned(), function: function.to_owned(), offered };
    if asynchronous {
        return into.func_new_concurrent(function, move |_, _, _, _| {
            Box::pin(ready(Err(wasmtime::Error::new(denial.clone()))))
        });
    }
    into.func_new(function, move |_: StoreContextMut<'_, T>, _, _, _| {
        Err(wasmtime::Error::new(denial.clone()))
    })
}

/// The resource behind a stand-in: no function that could make one ever returns.
struct Unreachable;
