//! A wasmtime engine with the host's definitions, one per key.

use std::sync::{Arc, OnceLock};

use crisol_core::{Budget, Reservation};
use wasmtime::component::Linker;

use crate::allocation::Allocation;
use crate::allocation::retained::Retained;
use crate::capability::Capabilities;
use crate::config::{EngineConfig, EngineError, VariantKey};
use crate::host::Host;
use crate::ticker::{Ticker, Ticks};

/// A wasmtime engine and the host's definitions on it.
pub(crate) struct EngineVariant {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) everything: Linker<Host>,
    /// The linker for core modules, built when the first one is linked.
    pub(crate) core: OnceLock<wasmtime::Linker<Host>>,
    pub(crate) capabilities: Arc<Capabilities>,
    /// Budget for the memory of all instances and scripts.
    pub(crate) budget: Budget,
    /// Ticks of the clock that interrupts guests.
    pub(crate) ticks: Ticks,
    /// Reservation for the pages that free slots keep.
    _retained: Reservation,
}

impl EngineVariant {
    fn new(
        config: &EngineConfig,
        key: VariantKey,
        ticker: &Ticker,
        (capabilities, budget): (&Arc<Capabilities>, &Budget),
    ) -> Result<Self, EngineError> {
        let (retained, held) = retain(config.allocation, budget);
        let config = config.build(key, retained);
        let engine = wasmtime::Engine::new(&config).map_err(EngineError::Setup)?;
        let everything = capabilities.linker(&engine, key).map_err(EngineError::Setup)?;
        ticker.watch(&engine);
        let (capabilities, budget) = (Arc::clone(capabilities), budget.clone());
        let (core, ticks) = (OnceLock::new(), ticker.ticks().clone());
        Ok(Self { engine, everything, core, capabilities, budget, ticks, _retained: held })
    }
}

/// Reserves the pages that free slots keep. They keep none if too much memory is already in use.
fn retain(allocation: Allocation, budget: &Budget) -> (Retained, Reservation) {
    let retained = Retained::within(budget.limit(), allocation);
    match budget.reserve(retained.in_all(allocation)) {
        Ok(held) => (retained, held),
        Err(_) => (Retained::NOTHING, budget.open()),
    }
}

impl EngineVariant {
    /// Builds a variant. If the address space for pooled instances is not available, changes `config` to
    /// [`Allocation::Sparing`] and tries again.
    pub(crate) fn or_fallback(
        config: &mut EngineConfig,
        key: VariantKey,
        ticker: &Ticker,
        shared: (&Arc<Capabilities>, &Budget),
    ) -> Result<Self, EngineError> {
        match Self::new(config, key, ticker, shared) {
            Err(error) if matches!(config.allocation, Allocation::Pooling { .. }) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    allocation = ?config.allocation,
                    "cannot reserve instances ahead: mapping each on demand, which is slower \
                     (fewer pooled instances or a higher limit on address space would help)"
                );
                config.allocation = Allocation::Sparing;
                Self::new(config, key, ticker, shared)
            }
            other => other,
        }
    }
}
