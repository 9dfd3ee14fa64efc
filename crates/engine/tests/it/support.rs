//! Guests for the engine's tests: text or a built fixture, linked, ready to be called.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod core;

use std::time::{Duration, Instant};

use crisol_engine::{
    Allocation, Compiled, Engine, EngineConfig, Failure, FunctionPre, Grants, Instance, Limits,
};
use wasmtime::component::Val;
use wasmtime_wasi::WasiCtx;

pub type Problem = Box<dyn std::error::Error + Send + Sync>;
pub type Tested<T = ()> = Result<T, Problem>;

/// A component that reads the clock of a WASI older than the host's.
pub const WASI_CLOCK_CALLER: &str = r#"(component
    (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
        (type $instant' u64)
        (export "instant" (type $instant (eq $instant')))
        (export "now" (func (result $instant)))))
    (core func $now (canon lower (func $clock "now")))
    (core module $m (import "c" "now" (func $now (result i64)))
        (func (export "f") (result i64) (call $now)))
    (core instance $i (instantiate $m (with "c" (instance (export "now" (func $now))))))
    (func (export "f") (result u64) (canon lift (core func $i "f"))))"#;

pub struct Guest {
    pub engine: Engine,
    pub compiled: Compiled,
    pub linked: FunctionPre,
    profile: Grants,
    method: String,
}

pub fn engine(allocation: Allocation) -> Tested<Engine> {
    Ok(Engine::new(EngineConfig { allocation, ..EngineConfig::default() })?)
}

pub fn wasi() -> WasiCtx {
    WasiCtx::builder().build()
}

/// A deadline so many milliseconds from now, by the clock of the test's runtime.
pub fn soon(ms: u64) -> Option<Instant> {
    (tokio::time::Instant::now().into_std()).checked_add(Duration::from_millis(ms))
}

/// Times of a call that was stopped: in the guest, and in the host.
pub fn stopped<T: std::fmt::Debug>(ended: Result<T, Failure>) -> Tested<[Duration; 2]> {
    match ended {
        Err(Failure::Deadline { running, waiting }) => Ok([running, waiting]),
        other => Err(format!("expected a deadline, found {other:?}").into()),
    }
}

impl Guest {
    fn new(
        engine: Engine,
        bytes: &[u8],
        fuel: bool,
        profile: Grants,
        method: &str,
    ) -> Tested<Self> {
        let compiled = engine.compile(bytes, fuel)?;
        let linked = engine.link(&compiled, &profile, method)?;
        Ok(Self { engine, compiled, linked, profile, method: method.to_owned() })
    }

    pub fn wat(text: &str, method: &str) -> Tested<Self> {
        let engine = engine(Allocation::OnDemand)?;
        Self::new(engine, &wat::parse_str(text)?, false, Grants::select(|_| true), method)
    }

    pub fn wat_with_fuel(text: &str, method: &str) -> Tested<Self> {
        let engine = engine(Allocation::OnDemand)?;
        Self::new(engine, &wat::parse_str(text)?, true, Grants::select(|_| true), method)
    }

    pub fn pooled(instances: u32, text: &str, method: &str) -> Tested<Self> {
        // A short tick, for tests that suspend a guest many times.
        let tick = Duration::from_micros(250);
        let allocation = Allocation::Pooling { instances };
        let engine = Engine::new(EngineConfig { allocation, tick, ..EngineConfig::default() })?;
        Self::new(engine, &wat::parse_str(text)?, false, Grants::select(|_| true), method)
    }

    pub fn fixture(name: &str, method: &str, grants: impl FnMut(&str) -> bool) -> Tested<Self> {
        let engine = engine(Allocation::OnDemand)?;
        let bytes = crisol_fixtures::bytes(name);
        Self::new(engine, &bytes, false, Grants::select(grants), method)
    }

    /// The same code with another profile.
    pub fn profile(&self, profile: Grants) -> Tested<Self> {
        let linked = self.engine.link(&self.compiled, &profile, &self.method)?;
        let (engine, compiled) = (self.engine.clone(), self.compiled.clone());
        Ok(Self { engine, compiled, linked, profile, method: self.method.clone() })
    }

    /// The same code, another of its functions.
    pub fn method(&self, method: &str) -> Tested<Self> {
        let linked = self.engine.link(&self.compiled, &self.profile, method)?;
        let (engine, compiled) = (self.engine.clone(), self.compiled.clone());
        Ok(Self {
            engine,
            compiled,
            linked,
            profile: self.profile.clone(),
            method: method.to_owned(),
        })
    }

    pub async fn instance(&self, limits: Limits) -> Result<Instance, Failure> {
        self.linked.instantiate(wasi(), limits, None).await
    }

    pub async fn call(&self, args: &[Val]) -> Result<Option<Val>, Failure> {
        self.instance(Limits::default()).await?.call(args, None).await
    }
}
