//! Wasmtime engines with the host's definitions: one per key and shard.

use std::sync::{Arc, OnceLock};

use crisol_core::{Budget, Reservation};
use wasmtime::component::Linker;

use crate::allocation::Allocation;
use crate::allocation::retained::Retained;
use crate::capability::Capabilities;
use crate::config::{EngineConfig, EngineError, VariantKey};
use crate::host::Host;
use crate::shards::{self, Sharded, Slots};
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
    /// Slots of this shard's instances.
    pub(crate) slots: Slots,
    /// Reservation for the pages that free slots keep.
    _retained: Reservation,
}

impl EngineVariant {
    fn new(
        config: &EngineConfig,
        key: VariantKey,
        ticker: &Ticker,
        (capabilities, budget): (&Arc<Capabilities>, &Budget),
        (shard, shards): (usize, usize),
    ) -> Result<Self, EngineError> {
        let config = config.of_shard(shard, shards);
        let (retained, held) = retain(config.allocation, budget, shards);
        let slots = Slots::of(config.allocation);
        let engine =
            wasmtime::Engine::new(&config.build(key, retained)).map_err(EngineError::Setup)?;
        let everything = capabilities.linker(&engine, key).map_err(EngineError::Setup)?;
        ticker.watch(&engine);
        // Counted apart from those of other shards.
        let (budget, ticks) = (budget.lane(), ticker.ticks_of_shard());
        let (capabilities, core) = (Arc::clone(capabilities), OnceLock::new());
        Ok(Self { engine, everything, core, capabilities, budget, ticks, slots, _retained: held })
    }
}

/// Reserves the pages that free slots keep. They keep none if too much memory is already in use.
fn retain(allocation: Allocation, budget: &Budget, shards: usize) -> (Retained, Reservation) {
    let retained = Retained::within(budget.limit() / shards.max(1) as u64, allocation);
    match budget.reserve(retained.in_all(allocation)) {
        Ok(held) => (retained, held),
        Err(_) => (Retained::NOTHING, budget.open()),
    }
}

/// All variants of an engine.
pub(crate) struct Variants {
    config: EngineConfig,
    ticker: Ticker,
    capabilities: Arc<Capabilities>,
    /// Budget for the memory of all instances and scripts.
    budget: Budget,
    /// Shards by the index of the key. The first shard of the plain variant is built at once, the others when a function
    /// needs them.
    built: [OnceLock<Sharded<EngineVariant>>; VariantKey::COUNT],
}

impl Variants {
    /// Builds the plain variant. If the address space for pooled instances is not available, maps instances on demand.
    pub(crate) fn new(
        config: EngineConfig,
        capabilities: Capabilities,
        ticker: Ticker,
    ) -> Result<Self, EngineError> {
        let budget = config.memory.budget();
        let built = [const { OnceLock::new() }; VariantKey::COUNT];
        let capabilities = Arc::new(capabilities);
        let mut variants = Self { config, ticker, capabilities, budget, built };
        let mut config = variants.config.clone();
        let plain = variants.build(&mut config, VariantKey::PLAIN)?;
        variants.config = config;
        // The slot is new, so setting it cannot fail.
        let _ = variants.built[VariantKey::PLAIN.index()].set(plain);
        Ok(variants)
    }

    /// The configuration, after any fallback.
    pub(crate) fn config(&self) -> &EngineConfig {
        &self.config
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The shards of a variant.
    pub(crate) fn shards(&self, key: VariantKey) -> Result<&Sharded<EngineVariant>, EngineError> {
        let slot = &self.built[key.index()];
        if let Some(variant) = slot.get() {
            return Ok(variant);
        }
        let variant = self.build(&mut self.config_of(key), key)?;
        Ok(slot.get_or_init(|| variant))
    }

    /// The first shard of a variant, on which code is compiled and linked.
    pub(crate) fn first(&self, key: VariantKey) -> Result<&EngineVariant, EngineError> {
        self.shards(key).map(Sharded::first)
    }

    /// A shard of a variant, built on first use. `None` if it cannot be built.
    pub(crate) fn shard(&self, key: VariantKey, shard: usize) -> Option<&EngineVariant> {
        let shards = self.shards(key).ok()?;
        shards.get_or_make(shard, || {
            let place = (shard, shards.count());
            let refused = |error: &EngineError| {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "cannot reserve all instances: fewer run at once, and threads share an engine \
                     (use fewer pooled instances, or raise the limit on address space)"
                );
            };
            self.build_shard(&self.config_of(key), key, place).inspect_err(refused).ok()
        })
    }

    /// The configuration of a variant.
    fn config_of(&self, key: VariantKey) -> EngineConfig {
        let mut config = self.config.clone();
        if key.fuel && matches!(config.allocation, Allocation::Pooling { .. }) {
            // A second reservation of address space costs more than it saves these functions.
            config.allocation = Allocation::OnDemand;
        }
        config
    }

    fn build_shard(
        &self,
        config: &EngineConfig,
        key: VariantKey,
        place: (usize, usize),
    ) -> Result<EngineVariant, EngineError> {
        EngineVariant::new(config, key, &self.ticker, (&self.capabilities, &self.budget), place)
    }

    /// Builds the first shard of a variant. If the address space for pooled instances is not available, changes `config`
    /// to [`Allocation::Unreserved`] and tries again.
    fn build(
        &self,
        config: &mut EngineConfig,
        key: VariantKey,
    ) -> Result<Sharded<EngineVariant>, EngineError> {
        let shards = shards::count(config.allocation, config.max_shards);
        match self.build_shard(config, key, (0, shards)) {
            Err(error) if matches!(config.allocation, Allocation::Pooling { .. }) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    allocation = ?config.allocation,
                    "cannot reserve instances ahead: mapping each on demand, which is slower \
                     (use fewer pooled instances, or raise the limit on address space)"
                );
                config.allocation = Allocation::Unreserved;
                Ok(Sharded::new(self.build_shard(config, key, (0, 1))?, 1))
            }
            built => Ok(Sharded::new(built?, shards)),
        }
    }
}
