//! The engine: what functions share.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::component::Linker;

use crate::bindings;
use crate::compile::{Cache, CompileError, Compiled};
use crate::config::{Allocation, EngineConfig, Flavour};
use crate::exports::{self, Export};
use crate::host::Host;
use crate::link::{self, LinkError, Linked, Profile};
use crate::ticker::Ticker;

/// A shorter turn would be all overhead; a longer one would keep others waiting.
const SHORTEST_TICK: Duration = Duration::from_micros(100);
const LONGEST_TICK: Duration = Duration::from_millis(100);

/// What all functions of a process share: wasmtime's engine, the clock that interrupts guests, the
/// host's definitions, the code compiled so far. Cloning is a reference count.
///
/// An engine with [`Allocation::Pooling`] reserves terabytes of address space: a process should have
/// one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: EngineConfig,
    ticker: Ticker,
    cache: Cache,
    plain: Base,
    /// Made when the first function with a fuel limit is loaded.
    fuelled: OnceLock<Base>,
}

/// A wasmtime engine and the host's definitions on it.
pub(crate) struct Base {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) everything: Linker<Host>,
}

/// Why an engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Wasmtime refused the configuration, or the address space for instances could not be had.
    #[error("the WebAssembly engine could not be set up")]
    Setup(#[source] wasmtime::Error),
    /// The thread that interrupts guests could not be started.
    #[error("the thread that interrupts guests could not be started")]
    Ticker(#[source] std::io::Error),
}

impl Base {
    fn new(config: &EngineConfig, flavour: Flavour, ticker: &Ticker) -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&config.build(flavour)).map_err(EngineError::Setup)?;
        let everything = bindings::everything(&engine).map_err(EngineError::Setup)?;
        ticker.watch(&engine);
        Ok(Self { engine, everything })
    }
}

impl Engine {
    /// Sets an engine up. Where the address space for [`Allocation::Pooling`] cannot be had, instances
    /// are mapped on demand instead, and a warning is logged.
    ///
    /// # Errors
    /// When wasmtime refuses the configuration or a thread cannot be started.
    pub fn new(mut config: EngineConfig) -> Result<Self, EngineError> {
        config.tick = config.tick.clamp(SHORTEST_TICK, LONGEST_TICK);
        let ticker = Ticker::start(config.tick).map_err(EngineError::Ticker)?;
        let plain = match Base::new(&config, Flavour { fuel: false }, &ticker) {
            Err(error) if config.allocation != Allocation::OnDemand => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    allocation = ?config.allocation,
                    "cannot reserve instances ahead: mapping each on demand, which is slower \
                     (fewer pooled instances or a higher limit on address space would help)"
                );
                config.allocation = Allocation::OnDemand;
                Base::new(&config, Flavour { fuel: false }, &ticker)?
            }
            other => other?,
        };
        let inner =
            Inner { config, ticker, cache: Cache::default(), plain, fuelled: OnceLock::new() };
        Ok(Self(Arc::new(inner)))
    }

    /// How the engine is set up, after any fallback.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Turns a component's bytes into machine code, or finds the code made earlier from equal bytes.
    /// Takes milliseconds to seconds of CPU time: not for a thread that serves calls.
    ///
    /// With `fuel` the code counts its instructions, as a limit on them needs.
    ///
    /// # Errors
    /// When the bytes are not a valid component.
    pub fn compile(&self, component: &[u8], fuel: bool) -> Result<Compiled, CompileError> {
        let flavour = Flavour { fuel };
        let base = self.base(flavour)?;
        self.0.cache.compile(&base.engine, flavour, component)
    }

    /// Lists every function that a component exports.
    ///
    /// # Errors
    /// When an engine for this kind of function cannot be set up.
    pub fn exports(&self, compiled: &Compiled) -> Result<Vec<Export>, EngineError> {
        let base = self.base(compiled.0.flavour)?;
        Ok(exports::list(&base.engine, &compiled.0.component))
    }

    /// Joins compiled code to the host functions that `profile` grants and finds the function that
    /// `method` means.
    ///
    /// # Errors
    /// When `method` names no export or more than one, its signature has types that cannot cross, or
    /// an import cannot be linked.
    pub fn link(
        &self,
        compiled: &Compiled,
        profile: &Profile,
        method: &str,
    ) -> Result<Linked, LinkError> {
        let base = self.base(compiled.0.flavour)?;
        link::link(base, compiled, profile, method)
    }

    fn base(&self, flavour: Flavour) -> Result<&Base, EngineError> {
        if !flavour.fuel {
            return Ok(&self.0.plain);
        }
        if let Some(base) = self.0.fuelled.get() {
            return Ok(base);
        }
        // A second reservation of address space would cost more than such functions gain by it.
        let config = EngineConfig { allocation: Allocation::OnDemand, ..self.0.config.clone() };
        let base = Base::new(&config, flavour, &self.0.ticker)?;
        Ok(self.0.fuelled.get_or_init(|| base))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}
