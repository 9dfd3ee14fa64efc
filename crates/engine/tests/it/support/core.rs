//! Bare core modules for tests: linked and called.

use crisol_engine::{Allocation, Engine, Failure, FunctionPre, Grants, Instance, Limits};
use crisol_wit::CoreModule;
use wasmtime::component::Val;

use super::{Tested, engine, wasi};

/// Start of a module that imports functions of WASI preview 1, all of which return an errno.
pub fn preview1(functions: &[(&str, &str)]) -> String {
    let import = |(name, params): &(&str, &str)| {
        format!(
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))"
        )
    };
    functions.iter().map(import).collect()
}

pub fn link_in(
    engine: &Engine,
    text: &str,
    (wit, method): (Option<&str>, &str),
    grants: impl FnMut(&str) -> bool,
    fuel: bool,
) -> Tested<FunctionPre> {
    let bytes = wat::parse_str(text)?;
    let core = CoreModule::read(&bytes, wit, method)?.ok_or("it has to be a component")?;
    let compiled = engine.compile(&bytes, fuel)?;
    Ok(engine.link_core(&compiled, &core, &Grants::select(grants), method)?)
}

pub fn link(text: &str, method: &str) -> Tested<FunctionPre> {
    link_in(&engine(Allocation::OnDemand)?, text, (None, method), |_| true, false)
}

pub fn link_granting(text: &str, grants: &[&str]) -> Tested<FunctionPre> {
    let grants = |interface: &str| grants.iter().any(|grant| interface.starts_with(grant));
    link_in(&engine(Allocation::OnDemand)?, text, (None, "f"), grants, false)
}

pub async fn made(linked: &FunctionPre, limits: Limits) -> Result<Instance, Failure> {
    linked.instantiate(wasi(), limits, None).await
}

pub async fn call(linked: &FunctionPre, args: &[Val]) -> Result<Option<Val>, Failure> {
    made(linked, Limits::default()).await?.call(args, None).await
}

/// Result of a module's `f`.
pub async fn number(linked: &FunctionPre) -> Result<i32, Failure> {
    match call(linked, &[]).await? {
        Some(Val::S32(number)) => Ok(number),
        other => {
            let what = format!("expected a number, found {other:?}");
            Err(Failure::Host(wasmtime::Error::msg(what)))
        }
    }
}
