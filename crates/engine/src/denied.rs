//! Stand-ins for what a guest imports and is not served: every function that it imports is there, so that it can be
//! instantiated, and one without a grant gives nothing or fails the call.

use std::future::ready;

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Linker, LinkerInstance, ResourceType, Val};
use wasmtime::{Engine, StoreContextMut};

/// A call that the guest made to something it was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest called `{interface}#{function}`, which it was not granted")]
#[non_exhaustive]
pub struct Denial {
    /// The interface, as the guest imports it; empty for a function imported by itself.
    pub interface: String,
    /// The function.
    pub function: String,
    /// Whether the host has such a function and would link it if the entry asked.
    pub offered: bool,
    /// The host interface whose grant would serve it, where that goes by another name.
    pub grant: Option<&'static str>,
    /// The reason why no grant would serve it, where more is known.
    pub reason: Option<String>,
}

/// Treatment of a host function whose interface is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ungranted {
    /// Served: it lets the guest say something, or works on what the guest was given.
    Served,
    /// Answered with an empty list, none or zero, where the type has one: that is the truth for a guest that was given
    /// nothing.
    Nothing,
    /// It fails the call.
    Denied,
}

impl Ungranted {
    /// Treatment of the functions of `interface`, a name without version.
    fn of(interface: &str) -> Self {
        match interface {
            // Output goes to the log and input is empty, unless the entry grants a command the terminal; an exit
            // ends the guest's own call. `wasi:io` has methods of streams, errors and pollables alone. Random numbers
            // tell nothing, and tables of hashes begin with them.
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
            // The engines of JavaScript read the clock when they start. It stands still, so nothing can be timed by it.
            "wasi:cli/environment" | "wasi:clocks/monotonic-clock" | "wasi:filesystem/preopens" => {
                Self::Nothing
            }
            _ => Self::Denied,
        }
    }
}

/// An interface that a guest imports, as far as it is served.
pub(crate) struct Imported<'a> {
    /// The name, as the guest has it.
    pub(crate) name: &'a str,
    /// The host interface that serves it, without version.
    pub(crate) interface: Option<&'a str>,
    pub(crate) granted: bool,
    /// Whether the host defines its resource types.
    pub(crate) has_types: bool,
    /// Whether the host would have a function of it if it were granted, of those that are not defined yet.
    pub(crate) offers: &'a dyn Fn(&str) -> bool,
}

/// Functions of an interface that fail the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stubs {
    /// Those that a grant would serve.
    pub(crate) denied: Vec<String>,
    /// Those that the host does not have.
    pub(crate) missing: Vec<String>,
}

impl Stubs {
    fn add(&mut self, function: &str, offered: bool) {
        let stubs = if offered { &mut self.denied } else { &mut self.missing };
        stubs.push(function.to_owned());
    }
}

impl Imported<'_> {
    /// Defines at `place` what the host does not define of `wanted`, and replaces what the guest is not granted.
    ///
    /// The host's own resource types stay, since granted interfaces refer to them (`wasi:cli/stdout` gives out
    /// the streams of `wasi:io`). An interface that it does not have gets types of its own.
    pub(crate) fn stand_in<T: Send + 'static>(
        &self,
        engine: &Engine,
        linker: &mut Linker<T>,
        place: &str,
        wanted: &ComponentInstance,
    ) -> wasmtime::Result<Stubs> {
        let mut stubs = Stubs::default();
        let mut defined = Vec::new();
        // Without shadowing, defining anew what the host has is an error: that is how to know that it has it.
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
                    let _ =
                        into.resource(function, ResourceType::host::<Unreachable>(), |_, _| Ok(()));
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

/// The empty value of what a function gives, if its type has one.
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

/// Defines one function as one that fails the call.
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

/// The resource behind a stand-in: no function that could make one ever returns.
struct Unreachable;
