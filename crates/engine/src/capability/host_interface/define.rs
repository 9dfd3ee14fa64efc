//! Definition of an interface's functions for one component, by the types of its imports.

use std::pin::Pin;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_wit::HostMapping;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{LinkerInstance, Val};

use super::{DefineError, Function, HostCall, HostInterface, ImportedInterface};
use crate::failure::HostFunctionFailed;
use crate::host::Host;
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
    /// Defines the functions of this interface that a component imports.
    pub(super) fn define(
        &self,
        import: &ImportedInterface<'_>,
        into: &mut LinkerInstance<'_, Host>,
    ) -> Result<(), DefineError> {
        for (name, item) in import.ty.exports(import.engine) {
            match item.ty {
                ComponentItem::ComponentFunc(func) => {
                    let Some(function) = self.functions.get(name) else { continue };
                    let bound = bind(function, (import, name), &func)?;
                    define(into, name, func.async_(), bound).map_err(DefineError::Linker)?;
                }
                ComponentItem::Resource(_) => {
                    let (interface, resource) = (import.name.to_owned(), name.to_owned());
                    return Err(DefineError::Resource { interface, resource });
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
    (import, name): (&ImportedInterface<'_>, &str),
    func: &ComponentFunc,
) -> Result<Bound, DefineError> {
    let name = format!("{}#{name}", import.name);
    let mapping = HostMapping::new(func)
        .map_err(|source| DefineError::Signature { function: name.clone(), source })?;
    Ok(Bound {
        name: name.into(),
        entry: import.entry.cloned(),
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
            let deadline = accessor.with(|mut access| access.get().work.deadline);
            let took = |time| accessor.with(|mut access| access.get().work.external += time);
            Box::pin(timed(bound.call(deadline, args, results), took))
                as Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + '_>>
        });
    }
    into.func_new_async(name, move |mut store, _, args, results| {
        let call = bound.call(store.data().work.deadline, args, results);
        Box::new(timed(call, move |time| store.data_mut().work.external += time))
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
