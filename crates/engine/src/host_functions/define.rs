//! Definition of an interface's functions for one component, by the types of its imports.

use std::pin::Pin;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_wit::HostMapping;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{LinkerInstance, Val};

use super::{Function, HostCall, HostInterface};
use crate::failure::HostFunctionFailed;
use crate::host::Host;
use crate::link_error::LinkError;
use crate::poll_timer::timed;

/// A host function with the type that one component imports.
#[derive(Clone)]
struct Bound {
    /// `interface#function`, as the component imports it.
    name: Arc<str>,
    entry: Option<EntryId>,
    mapping: Arc<HostMapping>,
    function: Function,
}

impl HostInterface {
    /// Returns true if the interface has a function of that name.
    pub(crate) fn has(&self, function: &str) -> bool {
        self.functions.contains_key(function)
    }

    /// Defines the functions of this interface that a component imports under the name `import`.
    pub(crate) fn define(
        &self,
        engine: &wasmtime::Engine,
        into: &mut LinkerInstance<'_, Host>,
        import: &str,
        wanted: &ComponentInstance,
        entry: Option<&EntryId>,
    ) -> Result<(), LinkError> {
        for (name, item) in wanted.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(func) => {
                    let Some(function) = self.functions.get(name) else { continue };
                    let bound = bind(function, format!("{import}#{name}"), &func, entry)?;
                    define(into, name, func.async_(), bound).map_err(LinkError::Mismatch)?;
                }
                ComponentItem::Resource(_) => {
                    let (interface, resource) = (import.to_owned(), name.to_owned());
                    return Err(LinkError::HostResource { interface, resource });
                }
                // Types are part of the functions that use them.
                _ => {}
            }
        }
        Ok(())
    }
}

fn bind(
    function: &Function,
    name: String,
    func: &ComponentFunc,
    entry: Option<&EntryId>,
) -> Result<Bound, LinkError> {
    let mapping = HostMapping::new(func)
        .map_err(|source| LinkError::HostSignature { function: name.clone(), source })?;
    Ok(Bound {
        name: name.into(),
        entry: entry.cloned(),
        mapping: Arc::new(mapping),
        function: Arc::clone(function),
    })
}

fn define(
    into: &mut LinkerInstance<'_, Host>,
    name: &str,
    asynchronous: bool,
    bound: Bound,
) -> wasmtime::Result<()> {
    if asynchronous {
        return into.func_new_concurrent(name, move |accessor, _, args, results| {
            let deadline = accessor.with(|mut access| access.get().deadline);
            let took = |time| accessor.with(|mut access| access.get().away += time);
            Box::pin(timed(bound.call(deadline, args, results), took))
                as Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + '_>>
        });
    }
    into.func_new_async(name, move |mut store, _, args, results| {
        let call = bound.call(store.data().deadline, args, results);
        Box::new(timed(call, move |time| store.data_mut().away += time))
    })
}

impl Bound {
    fn call<'a>(
        &self,
        deadline: Option<std::time::Instant>,
        args: &'a [Val],
        results: &'a mut [Val],
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + use<'a> {
        let Self { name, entry, mapping, function } = self.clone();
        async move {
            let signature = Arc::clone(mapping.signature());
            let call = HostCall { entry, deadline, signature };
            let answer = function(call, mapping, args.to_vec()).await;
            let answer = answer.map_err(|source| {
                wasmtime::Error::new(HostFunctionFailed { function: name.to_string(), source })
            })?;
            if let (Some(slot), Some(answer)) = (results.first_mut(), answer) {
                *slot = answer;
            }
            Ok(())
        }
    }
}
