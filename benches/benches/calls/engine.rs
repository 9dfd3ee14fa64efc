//! Engine without pool and façade: with its limits and its deadline, and the component's own values.

use std::time::{Duration, Instant};

use crisol_engine::{Engine, FunctionPre, Grants, Instance, Limits, Val};
use crisol_wit::{CoreModule, Packed};
use wasmtime_wasi::WasiCtx;

use crate::Problem;

/// Deadline of every call, from its start.
const LIMIT: Duration = Duration::from_secs(30);

/// A linked function.
pub(crate) struct Route(FunctionPre);

impl Route {
    pub(crate) fn new(engine: &Engine, component: &[u8], method: &str) -> Result<Self, Problem> {
        let compiled = engine.compile(component, false)?;
        Ok(Self(engine.link(&compiled, &Grants::select(|_| false), method)?))
    }

    /// Links a function of a core module, called directly.
    pub(crate) fn core(engine: &Engine, module: &[u8], method: &str) -> Result<Self, Problem> {
        let core = CoreModule::read(module, None, method)?.ok_or("it has to be a component")?;
        let compiled = engine.compile(module, false)?;
        let profile = Grants::select(|_| false);
        Ok(Self(engine.link_core(&compiled, &core, &profile, method)?))
    }

    /// Packs the arguments as a caller's lowering would.
    pub(crate) fn pack(&self, args: &[Val]) -> Packed {
        self.0.mapping().pack_args(args).unwrap_or_default()
    }

    pub(crate) async fn instance(&self) -> Result<Instance, Problem> {
        let wasi = WasiCtx::builder().build_p1();
        Ok(self.0.instantiate(wasi, Limits::default(), deadline()).await?)
    }

    pub(crate) async fn fresh(&self, args: &Packed) -> Result<Option<Packed>, Problem> {
        call(&mut self.instance().await?, args).await
    }
}

/// Calls an existing instance.
pub(crate) async fn call(
    instance: &mut Instance,
    args: &Packed,
) -> Result<Option<Packed>, Problem> {
    Ok(instance.call_since(Instant::now(), args.clone(), deadline()).await?)
}

fn deadline() -> Option<Instant> {
    Instant::now().checked_add(LIMIT)
}
