//! Baseline: the same component on wasmtime itself, with the fastest measured settings.

use wasmtime::component::{
    Component, ComponentExportIndex, Func, InstancePre, Linker, ResourceTable, Val,
};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) struct Bare {
    pre: InstancePre<Host>,
    index: ComponentExportIndex,
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

pub(crate) struct Instance {
    store: Store<Host>,
    func: Func,
}

/// Engine for fresh instances.
fn engine() -> wasmtime::Result<Engine> {
    let scan = PoolingAllocationConfig::is_pagemap_scan_available();
    let mut pool = PoolingAllocationConfig::new();
    pool.pagemap_scan(if scan { Enabled::Yes } else { Enabled::No })
        // As many slots as Crisol's engine has.
        .total_core_instances(4_000)
        .total_tables(4_000)
        .linear_memory_keep_resident(if scan { 2 << 20 } else { 64 << 10 })
        .table_keep_resident(64 << 10);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

impl Bare {
    pub(crate) fn new(component: &[u8], method: &str) -> wasmtime::Result<Self> {
        let engine = engine()?;
        let component = Component::from_binary(&engine, component)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        linker.define_unknown_imports_as_traps(&component)?;
        let index = component
            .get_export_index(None, method)
            .ok_or_else(|| wasmtime::Error::msg("no such export"))?;
        Ok(Self { pre: linker.instantiate_pre(&component)?, index })
    }

    pub(crate) async fn instance(&self) -> wasmtime::Result<Instance> {
        let host = Host { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        #[expect(clippy::disallowed_methods, reason = "bare wasmtime, to compare with")]
        let mut store = Store::new(self.pre.engine(), host);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let func = instance
            .get_func(&mut store, self.index)
            .ok_or_else(|| wasmtime::Error::msg("not a function"))?;
        Ok(Instance { store, func })
    }

    pub(crate) async fn fresh(&self, args: &[Val]) -> wasmtime::Result<Val> {
        self.instance().await?.call(args).await
    }
}

impl Instance {
    pub(crate) async fn call(&mut self, args: &[Val]) -> wasmtime::Result<Val> {
        let mut results = [Val::Bool(false)];
        self.func.call_async(&mut self.store, args, &mut results).await?;
        let [result] = results;
        Ok(result)
    }
}

/// Baseline of a core module that is called directly.
pub(crate) struct BareCore {
    pre: wasmtime::InstancePre<WasiP1Ctx>,
    method: wasmtime::ModuleExport,
}

impl BareCore {
    pub(crate) fn new(module: &[u8], method: &str) -> wasmtime::Result<Self> {
        let module = wasmtime::Module::from_binary(&engine()?, module)?;
        let mut linker = wasmtime::Linker::new(module.engine());
        wasmtime_wasi::p1::add_to_linker_async(&mut linker, |wasi| wasi)?;
        let missing = || wasmtime::Error::msg("no such export");
        let method = module.get_export_index(method).ok_or_else(missing)?;
        Ok(Self { pre: linker.instantiate_pre(&module)?, method })
    }

    /// Calls a function without parameters that returns a number.
    pub(crate) async fn fresh(&self) -> wasmtime::Result<i32> {
        #[expect(clippy::disallowed_methods, reason = "bare wasmtime, to compare with")]
        let mut store = Store::new(self.pre.module().engine(), WasiCtx::builder().build_p1());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let func = instance.get_module_export(&mut store, &self.method);
        let func = func.and_then(wasmtime::Extern::into_func);
        let func = func.ok_or_else(|| wasmtime::Error::msg("not a function"))?;
        func.typed::<(), i32>(&store)?.call_async(&mut store, ()).await
    }
}
