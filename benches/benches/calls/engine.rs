//! The engine by itself: its limits and its deadline, and no pool, no façade, no values but the component's.

use std::time::{Duration, Instant};

use crisol_engine::{Engine, Instance, Limits, Linked, Profile, Val};
use wasmtime_wasi::WasiCtx;

use crate::Problem;

/// What every call has to be over by.
const LIMIT: Duration = Duration::from_secs(30);

/// A function, linked.
pub(crate) struct Route(Linked);

impl Route {
    pub(crate) fn new(engine: &Engine, component: &[u8], method: &str) -> Result<Self, Problem> {
        let compiled = engine.compile(component, false)?;
        Ok(Self(engine.link(&compiled, &Profile::granting(|_| false), method)?))
    }

    pub(crate) async fn instance(&self) -> Result<Instance, Problem> {
        let wasi = WasiCtx::builder().build();
        Ok(self.0.instantiate(wasi, Limits::default(), deadline()).await?)
    }

    pub(crate) async fn fresh(&self, args: &[Val]) -> Result<Option<Val>, Problem> {
        call(&mut self.instance().await?, args).await
    }
}

/// One call of an instance that is there.
pub(crate) async fn call(instance: &mut Instance, args: &[Val]) -> Result<Option<Val>, Problem> {
    Ok(instance.call(args, deadline()).await?)
}

fn deadline() -> Option<Instant> {
    Instant::now().checked_add(LIMIT)
}
