//! Stubs for imports without a grant. Every imported function is defined, so that the guest can be
//! instantiated; a stub returns an empty value or fails the call.

use std::future::ready;

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Linker, LinkerInstance, ResourceType, Val};
use wasmtime::{Engine, StoreContextMut};

/// A guest's call of a function that it was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest called `{interface}#{function}`, which it was not granted")]
#[non_exhaustive]
pub struct Denial {
    /// The interface, as the guest imports it; empty for a top-level function.
    pub interface: String,
    /// The function's name.
    pub function: String,
    /// True if the host has this function and links it once the entry is granted it.
    pub offered: bool,
    /// The host interface to grant, if its name differs from `interface`.
    pub grant: Option<&'static str>,
    /// The reason that no grant serves it, if known.
    pub reason: Option<String>,
}

/// Treatment of a host function whose interface is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ungranted {
    /// Served without a grant: it only writes output, or uses handles that the guest already has.
    Served,
    /// Returns an empty list, none or zero if the type has such a value, which is true for a guest without grants.
    Nothing,
    /// Fails the call.
    Denied,
}

impl Ungranted {
    /// Treatment of the functions of `interface`, a name without version.
    fn of(interface: &str) -> Self {
        match interface {
            // Output goes to the log and input is empty, unless the entry grants a command the terminal; an exit
            // ends only the guest's own call. `wasi:io` has only methods of streams, errors and pollables. Random
            // numbers reveal nothing, and hash tables need them as seeds.
            "wasi:cli/exit"
            | "wasi:cli/stdin"
            | "wasi:cli/stdout"
            | "wasi:cli/stderr"
            | "wasi:cli/terminal-input"
            | "wasi:cli/terminal-output"
            | "wasi:cli/terminal-stdin"
            | "wasi:cli/terminal-stdout"
            | "wasi:cli/terminal-stderr"
            | "wasi:io/error"
            | "wasi:io/poll"
            | "wasi:io/streams"
            | "wasi:random/insecure"
            | "wasi:random/insecure-seed"
            | "wasi:random/random" => Self::Served,
            // JavaScript engines read the clock at start. It stands still, so it cannot measure time.
            "wasi:cli/environment" | "wasi:clocks/monotonic-clock" | "wasi:filesystem/preopens" => {
                Self::Nothing
            }
            _ => Self::Denied,
        }
    }
}

/// An imported interface and its support by the host.
pub(crate) struct ImportedInterface<'a> {
    /// The name, as the guest imports it.
    pub(crate) name: &'a str,
    /// The host interface that serves it, without version.
    pub(crate) interface: Option<&'a str>,
    pub(crate) granted: bool,
    /// True if the host defines its resource types.
    pub(crate) has_types: bool,
    /// Returns true if a grant would serve a function that is not defined yet.
    pub(crate) offers: &'a dyn Fn(&str) -> bool,
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

impl ImportedInterface<'_> {
    /// Defines stubs at `place` for functions of `wanted` that the host lacks or the guest is not granted.
    ///
    /// The host's own resource types stay, since granted interfaces refer to them (`wasi:cli/stdout` returns
    /// streams of `wasi:io`). An interface that the host lacks gets types of its own.
    pub(crate) fn stand_in<T: Send + 'static>(
        &self,
        engine: &Engine,
        linker: &mut Linker<T>,
        place: &str,
        wanted: &ComponentInstance,
    ) -> wasmtime::Result<Stubs> {
        let mut stubs = Stubs::default();
        let mut defined = Vec::new();
        // Without shadowing, a second definition is an error, which shows that the host has the function.
        linker.allow_shadowing(false);
        let mut into = linker.instance(place)?;
        for (function, item) in wanted.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(func) => {
                    let offered = (self.offers)(function);
                    match deny(&mut into, self.name, function, func.async_(), offered) {
                        Ok(()) => stubs.add(function, offered),
                        Err(_) => defined.push((function, func)),
                    }
                }
                ComponentItem::Resource(_) if !self.has_types => {
                    let _ = into.resource(
                        function,
                        ResourceType::host::<StubResource>(),
                        |_, _| Ok(()),
                    );
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
            let nothing = nothing(&func);
            match (self.interface.map_or(Ungranted::Denied, Ungranted::of), nothing) {
                (Ungranted::Served, _) => {}
                (Ungranted::Nothing, Some(nothing)) => answer(&mut into, function, nothing)?,
                _ => {
                    deny(&mut into, self.name, function, func.async_(), true)?;
                    stubs.add(function, true);
                }
            }
        }
        Ok(stubs)
    }
}

/// The empty value of a function's result type, if there is one.
fn nothing(func: &ComponentFunc) -> Option<Val> {
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
    nothing: Val,
) -> wasmtime::Result<()> {
    into.func_new(function, move |_: StoreContextMut<'_, T>, _, _, results| {
        if let Some(slot) = results.first_mut() {
            *slot = nothing.clone();
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
