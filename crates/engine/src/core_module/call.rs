//! Calls of core functions.

use std::sync::Arc;

use crisol_wit::Convention;
use wasmtime::component::Val;
use wasmtime::{Func, Instance, Store, Val as Core};

use super::{CoreTarget, values};
use crate::host::Host;

/// What is called in an instance of a module.
pub(crate) struct Callee {
    func: Func,
    post_return: Option<Func>,
    target: Arc<CoreTarget>,
}

/// A value that is no number, of a function that takes or gives it.
#[derive(Debug, thiserror::Error)]
#[error("values other than numbers are not handed over to core modules yet")]
struct NoNumber;

impl Callee {
    pub(crate) fn new(
        store: &mut Store<Host>,
        instance: &Instance,
        target: &Arc<CoreTarget>,
    ) -> Option<Self> {
        let mut func = |export| instance.get_module_export(&mut *store, export)?.into_func();
        let post_return = target.post_return.as_ref().and_then(&mut func);
        Some(Self { func: func(&target.export)?, post_return, target: Arc::clone(target) })
    }
}

/// Runs what a module does before anything else of it is called.
pub(crate) async fn initialize(
    store: &mut Store<Host>,
    instance: &Instance,
    target: &CoreTarget,
) -> wasmtime::Result<()> {
    let Some(export) = &target.initialize else { return Ok(()) };
    match instance.get_module_export(&mut *store, export).and_then(wasmtime::Extern::into_func) {
        Some(func) => func.call_async(store, &[], &mut []).await,
        None => Ok(()),
    }
}

/// Calls the function.
pub(crate) async fn call(
    store: &mut Store<Host>,
    callee: &Callee,
    args: &[Val],
) -> wasmtime::Result<Option<Val>> {
    let Callee { func, post_return, target } = callee;
    let args: Option<Vec<Core>> = args.iter().map(values::lower).collect();
    let args = args.ok_or_else(|| wasmtime::Error::new(NoNumber))?;
    let mut results: Vec<Core> =
        target.results.iter().map(|ty| Core::default_for_ty(ty).unwrap_or(Core::I32(0))).collect();
    func.call_async(&mut *store, &args, &mut results).await?;
    let lifted: Option<Vec<Val>> = results.iter().map(values::lift).collect();
    let mut lifted = lifted.ok_or_else(|| wasmtime::Error::new(NoNumber))?;
    if let Some(post_return) = post_return {
        post_return.call_async(store, &results, &mut []).await?;
    }
    Ok(match (target.convention, lifted.len()) {
        (Convention::Start, _) => Some(Val::Result(Ok(None))),
        (_, 0 | 1) => lifted.pop(),
        _ => Some(Val::Tuple(lifted)),
    })
}
