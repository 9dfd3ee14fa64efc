//! The engine: state shared by all functions.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crisol_core::{Budget, EntryId};
use crisol_wit::CoreModule;
use wasmparser::Parser;
use wasmtime::Module;
use wasmtime::component::Component;

use crate::aot::{self, Key};
use crate::capability::{Capabilities, HostInterface};
use crate::compile::{Cache, Code, CompileError, Compiled};
use crate::config::{EngineConfig, EngineError, VariantKey};
use crate::core_module;
use crate::digest::Digest;
use crate::exports::{Export, Exports};
use crate::imports::{Grants, Import};
use crate::inspect::{self, TooLarge, inspect};
use crate::link::{self, FunctionPre};
use crate::link_error::LinkError;
use crate::machine_code::MachineCode;
use crate::pre_cache::PreCache;
use crate::program::Program;
use crate::reachability::Reachability;
use crate::ticker::Ticker;
use crate::unsupported::Unsupported;
use crate::variant::{EngineVariant, Variants};

/// Bounds of the tick. A shorter tick costs too much overhead; a longer one keeps other tasks waiting.
const SHORTEST_TICK: Duration = Duration::from_micros(100);
const LONGEST_TICK: Duration = Duration::from_millis(100);

/// State shared by all functions of a process: wasmtime's engine, the clock that interrupts guests, the
/// host's definitions, the cache of compiled code. Cloning increments a reference count.
///
/// An engine with [`Allocation::Pooling`](crate::Allocation::Pooling) reserves terabytes of address space: a process
/// should have one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    variants: Arc<Variants>,
    cache: Cache,
}

impl Engine {
    /// Creates an engine. If the address space for [`Allocation::Pooling`](crate::Allocation::Pooling) is not
    /// available, it maps instances on demand instead, each only as large as needed, and logs a warning.
    ///
    /// # Errors
    /// Fails when wasmtime refuses the configuration or a thread cannot be started.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        Self::with_interfaces(config, Vec::new())
    }

    /// Creates an engine with interfaces that the embedding program serves itself, else like [`Engine::new`].
    /// Two interfaces with the same name are merged: guests find the functions of both.
    ///
    /// # Errors
    /// Fails like [`Engine::new`].
    pub fn with_interfaces(
        mut config: EngineConfig,
        interfaces: Vec<HostInterface>,
    ) -> Result<Self, EngineError> {
        config.tick = config.tick.clamp(SHORTEST_TICK, LONGEST_TICK);
        let ticker = Ticker::start(config.tick).map_err(EngineError::Ticker)?;
        let variants = Arc::new(Variants::new(config, Capabilities::new(interfaces), ticker)?);
        Ok(Self(Arc::new(Inner { variants, cache: Cache::default() })))
    }

    /// The engine's configuration, after any fallback.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        self.0.variants.config()
    }

    /// The memory budget of all instances, for other memory that is bounded together with them. The pages that
    /// free slots keep are reserved from the start.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        self.0.variants.budget()
    }

    /// Compiles the bytes of a component or core module to machine code, or reuses the code of equal bytes.
    /// Takes milliseconds to seconds of CPU time, so do not call it on a thread that serves calls.
    ///
    /// With `fuel` the code counts its instructions, which a fuel limit requires.
    ///
    /// # Errors
    /// Fails when the bytes are not a valid component or core module, are larger than the engine's limits,
    /// use proposals that the engine does not run, or make the compiler panic, and when an engine for this
    /// kind of code cannot be set up.
    pub fn compile(&self, bytes: &[u8], fuel: bool) -> Result<Compiled, CompileError> {
        let digest = Digest::of(bytes);
        let make = || {
            let (key, program, reachability) = match self.load_cached(digest, bytes, fuel) {
                Some(kept) => kept,
                None => self.translate(digest, bytes, fuel)?,
            };
            let shards = self.0.variants.shards(key)?.count();
            let program = Arc::new(Program::new(digest, program, shards));
            Ok(Code { digest, key, program, reachability, pre_cache: PreCache::default() })
        };
        self.0.cache.get((digest, fuel), make).map(Compiled)
    }

    /// Checks the size of code against the engine's limit, before any further reading.
    ///
    /// # Errors
    /// Fails when the code has more bytes than the engine compiles.
    pub fn check_size(&self, code: &[u8]) -> Result<(), TooLarge> {
        inspect::within("bytes", code.len(), self.config().code.max_bytes)
    }

    /// Loads code that an earlier run of the program kept on disk.
    fn load_cached(
        &self,
        digest: Digest,
        bytes: &[u8],
        fuel: bool,
    ) -> Option<(VariantKey, MachineCode, Reachability)> {
        let cache = self.config().cache.as_ref()?;
        let plain = &self.variant(VariantKey::PLAIN).ok()?.engine;
        let trusted = cache.load(plain, Key { digest, fuel })?;
        if (trusted.kind == aot::Kind::Module) != Parser::is_core_wasm(bytes) {
            tracing::warn!(%digest, "compiled code on disk has another kind: component or core module");
            return None;
        }
        let key = VariantKey { fuel, concurrent: trusted.kind == aot::Kind::Concurrent };
        match aot::load(&self.variant(key).ok()?.engine, &trusted) {
            Ok(program) => Some((key, program, Reachability::decode(&trusted.reachability))),
            Err(error) => {
                tracing::warn!(%digest, ?error, "compiled code on disk is from another engine configuration");
                None
            }
        }
    }

    fn translate(
        &self,
        digest: Digest,
        bytes: &[u8],
        fuel: bool,
    ) -> Result<(VariantKey, MachineCode, Reachability), CompileError> {
        let concurrent = inspect(bytes, &self.config().code)?.concurrent;
        let key = VariantKey { fuel, concurrent };
        let engine = &self.variant(key)?.engine;
        let compile = || match Parser::is_core_wasm(bytes) {
            true => Module::from_binary(engine, bytes).map(MachineCode::Module),
            false => Component::from_binary(engine, bytes).map(MachineCode::Component),
        };
        let compiled = catch_unwind(AssertUnwindSafe(compile));
        let refused = |error| match Unsupported::find(bytes, engine.get_wasm_features()) {
            Some(unsupported) => CompileError::Unsupported(unsupported),
            None => CompileError::Invalid(error),
        };
        let program = compiled.map_err(|_| CompileError::Compiler)?.map_err(refused)?;
        let reachability = Reachability::of(bytes);
        if let Some(cache) = &self.config().cache {
            let plain = &self.variant(VariantKey::PLAIN)?.engine;
            let kind = aot::Kind::of(&program, concurrent);
            match program.serialize() {
                Ok(code) => {
                    let file =
                        aot::Content { kind, reachability: &reachability.encode(), code: &code };
                    cache.store(plain, Key { digest, fuel }, file);
                }
                Err(error) => tracing::warn!(%digest, ?error, "cannot store compiled code"),
            }
        }
        Ok((key, program, reachability))
    }

    /// Builds the grants of an entry: each host interface for which `select` returns true,
    /// including those of the embedding program.
    pub fn grants(&self, entry: &EntryId, mut select: impl FnMut(&str) -> bool) -> Grants {
        let own = self.0.variants.capabilities().host_interfaces();
        let own = own.filter(|interface| select(interface)).collect();
        Grants::select(select).with_host_interfaces(own, entry)
    }

    /// Lists every function that code exports.
    ///
    /// # Errors
    /// Fails when an engine for this kind of function cannot be set up.
    pub fn exports(&self, compiled: &Compiled) -> Result<Vec<Export>, EngineError> {
        let variant = self.variant(compiled.0.key)?;
        Ok(match compiled.0.program.first() {
            MachineCode::Component(component) => Exports::of(&variant.engine, component).describe(),
            MachineCode::Module(module) => core_module::exports(module),
        })
    }

    /// Links compiled code with the host functions that `grants` lists, and resolves `method` to an export.
    ///
    /// # Errors
    /// Fails when `method` names no export or more than one, its signature has unsupported types, or an
    /// import cannot be linked.
    pub fn link(
        &self,
        compiled: &Compiled,
        grants: &Grants,
        method: &str,
    ) -> Result<FunctionPre, LinkError> {
        link::link(&self.0.variants, compiled, grants, method)
    }

    /// Lists the imports of code and which of them are in `grants`. Meant for code that does not link; a
    /// [`FunctionPre`] has its own list.
    ///
    /// # Errors
    /// Fails when an import is of a kind that no host provides, or an engine for this kind of component cannot
    /// be set up.
    pub fn imports(&self, compiled: &Compiled, grants: &Grants) -> Result<Vec<Import>, LinkError> {
        let variant = self.variant(compiled.0.key)?;
        match compiled.0.program.first() {
            MachineCode::Component(component) => {
                link::restrict(variant, &mut variant.everything.clone(), component, grants)
            }
            MachineCode::Module(module) => Ok(core_module::imports(module, grants)),
        }
    }

    /// Links a core module with the host functions that `grants` lists, and resolves `method` among the
    /// functions of `core`, which must be read from the compiled bytes.
    ///
    /// # Errors
    /// Fails like [`Engine::link`].
    pub fn link_core(
        &self,
        compiled: &Compiled,
        core: &CoreModule,
        grants: &Grants,
        method: &str,
    ) -> Result<FunctionPre, LinkError> {
        link::link_core(&self.0.variants, (compiled, core), grants, method)
    }

    pub(crate) fn variants(&self) -> &Arc<Variants> {
        &self.0.variants
    }

    fn variant(&self, key: VariantKey) -> Result<&EngineVariant, EngineError> {
        self.0.variants.first(key)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", self.config()).finish_non_exhaustive()
    }
}
