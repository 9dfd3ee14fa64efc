//! The called function of an instance, and the path of its values in and out.

use crisol_wit::{CallBounds, DirectFunc, Mapping, OverOutput, Packed};
use wasmtime::Store;
use wasmtime::component::{Func, Val};

use crate::core_module;
use crate::failure::check;
use crate::host::Host;
use crate::output;

/// Callee of an instance.
pub(crate) enum Callee {
    /// A function whose values are lowered and lifted directly in its memory.
    Direct(DirectFunc),
    /// A function whose values pass through wasmtime's `Val`.
    Dynamic(Func),
    /// A function of a core module.
    Core(core_module::Callee),
}

impl Callee {
    /// Wraps a component function. `mapping` is that of its type, if it is called with values.
    pub(crate) fn component_function(
        store: &mut Store<Host>,
        func: Func,
        mapping: Option<&Mapping>,
    ) -> Self {
        // Asynchronous functions return their results in another form.
        let is_concurrent = store.concurrent_resource_table().is_some();
        let direct = mapping.filter(|_| !is_concurrent);
        let direct = direct.and_then(|mapping| DirectFunc::new(mapping, func, &*store));
        direct.map_or(Self::Dynamic(func), Self::Direct)
    }

    /// The function, or `None` for a core module's.
    pub(crate) fn component(&self) -> Option<&Func> {
        match self {
            Self::Direct(func) => Some(func.func()),
            Self::Dynamic(func) => Some(func),
            Self::Core(_) => None,
        }
    }

    /// Calls the function with lowered arguments.
    pub(crate) async fn call(
        &self,
        store: &mut Store<Host>,
        mapping: &Mapping,
        args: Packed,
    ) -> wasmtime::Result<Option<Packed>> {
        match self {
            Self::Direct(func) => {
                let host = store.data();
                let max_output = host.meter.limits().max_output_bytes;
                let bounds = CallBounds { max_output, deadline: host.work.deadline, check };
                func.call_async(store, mapping, args, bounds).await
            }
            Self::Dynamic(func) => {
                let args = mapping.unpack_args(&args);
                let has_result = mapping.signature().result.is_some();
                let mut results = [Val::Bool(false)];
                let results = &mut results[..usize::from(has_result)];
                func.call_async(&mut *store, &args, results).await?;
                let result = results.first_mut();
                let result = result.map(|slot| std::mem::replace(slot, Val::Bool(false)));
                let allowed = store.data().meter.limits().max_output_bytes;
                if result.as_ref().is_some_and(|value| output::size(value) > allowed) {
                    return Err(wasmtime::Error::new(OverOutput { allowed }));
                }
                Ok(mapping.pack_result(result))
            }
            Self::Core(callee) => callee.call(store, mapping, args).await,
        }
    }
}
