//! Linking of components and core modules: all work that is possible before a call.

use std::fmt;
use std::sync::Arc;

use crisol_wit::{CoreModule, Mapping};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Linker};

use crate::capability::{ImportedInterface, Served};
use crate::compile::Compiled;
use crate::core_module::{self, CoreCalleePre, CoreExports};
use crate::exports::{self, Export, ExportName, Exports};
use crate::host::Host;
use crate::imports::{Grants, Import, calls_others};
use crate::link_error::LinkError;
use crate::machine_code::MachineCode;
use crate::pre_cache::{Pre, ShardPre, SharedPre};
use crate::program::Program;
use crate::releases::Ungranted;
use crate::shards::Sharded;
use crate::stubs::{self, Restriction, Stubs};
use crate::variant::{EngineVariant, Variants};

/// A function of a component or core module, linked with its grants. Cloning increments a reference count.
#[derive(Clone)]
pub struct FunctionPre(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) callee: ShardedCallee,
    pub(crate) export: Export,
    pub(crate) mapping: Mapping,
    pub(crate) runs_once: bool,
    /// Linked form, shared with other functions with the same code and grants.
    pub(crate) shared: Arc<SharedPre>,
    /// Keeps the code in the engine's cache for the next function of the same bytes.
    pub(crate) code: Compiled,
}

/// Callee of an instance, resolved before instantiation.
#[derive(Clone)]
pub(crate) enum CalleePre {
    Component { index: ComponentExportIndex },
    Core(Arc<CoreCalleePre>),
}

/// Callee of instances in all shards: machine code of each shard has indices of its own.
pub(crate) struct ShardedCallee {
    name: CalleeName,
    shards: Sharded<ShardCallee>,
}

/// Callee of the instances of one shard.
pub(crate) struct ShardCallee {
    pub(crate) pre: CalleePre,
    /// `None` for an HTTP handler.
    pub(crate) mapping: Option<Mapping>,
}

/// Exports that a call needs, by name.
pub(crate) enum CalleeName {
    Component(ExportName),
    Core(CoreExports),
}

impl CalleeName {
    fn resolve(&self, code: &MachineCode) -> Result<CalleePre, LinkError> {
        match (self, code) {
            (Self::Component(place), MachineCode::Component(component)) => {
                let located = exports::locate(component, place);
                let (_, index) = located
                    .ok_or_else(|| mismatch("an export is missing from the machine code"))?;
                Ok(CalleePre::Component { index })
            }
            (Self::Core(exports), MachineCode::Module(module)) => {
                Ok(CalleePre::Core(Arc::new(exports.resolve(module)?)))
            }
            _ => Err(mismatch("the machine code is of another kind")),
        }
    }
}

impl ShardedCallee {
    /// Resolves the callee in the code of the first shard.
    pub(crate) fn new(
        name: CalleeName,
        program: &Program,
        mapping: Option<Mapping>,
    ) -> Result<Self, LinkError> {
        let first = ShardCallee { pre: name.resolve(program.first())?, mapping };
        Ok(Self { name, shards: Sharded::new(first, program.shards()) })
    }

    pub(crate) fn first(&self) -> &ShardCallee {
        self.shards.first()
    }

    /// The callee in the code of a shard. `None` if the shard has no code.
    pub(crate) fn on(&self, shard: usize, program: &Program) -> Option<&ShardCallee> {
        self.shards.get_or_make(shard, || {
            let pre = self.name.resolve(program.get(shard)?).ok()?;
            Some(ShardCallee { pre, mapping: self.first().mapping.as_ref().map(Mapping::lane) })
        })
    }
}

fn mismatch(what: &'static str) -> LinkError {
    LinkError::Mismatch(wasmtime::Error::msg(what))
}

impl FunctionPre {
    pub(crate) fn new(
        callee: ShardedCallee,
        export: Export,
        mapping: Mapping,
        shared: Arc<SharedPre>,
        code: Compiled,
    ) -> Self {
        let runs_once = export.is_program(mapping.signature());
        Self(Arc::new(Inner { callee, export, mapping, runs_once, shared, code }))
    }

    /// The mapping of the function's arguments and result.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.0.mapping
    }

    /// The compiled code of the function.
    #[must_use]
    pub fn code(&self) -> &Compiled {
        &self.0.code
    }

    /// Returns true if it runs on the engine that supports asynchronous functions, like WASI 0.3 guests.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        self.0.code.0.key.concurrent
    }

    /// Returns true for the entry point of a program, after which its instance cannot be reused.
    #[must_use]
    pub fn runs_once(&self) -> bool {
        self.0.runs_once
    }

    /// The export that the method resolved to.
    #[must_use]
    pub fn export(&self) -> &Export {
        &self.0.export
    }

    /// Returns true if it may call other functions: it imports `funcs`, and `funcs` is granted.
    #[must_use]
    pub fn calls_others(&self) -> bool {
        calls_others(self.imports())
    }

    /// Returns true if the code imports anything. Without imports an instance sees nothing of its context, so an empty
    /// one suffices.
    #[must_use]
    pub fn has_imports(&self) -> bool {
        self.0.shared.has_imports
    }

    /// All imports of the code, whether it calls them or not.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.0.shared.imports
    }

    /// Returns true if two functions share their resolved imports, like functions of the same code and the same
    /// grants.
    #[must_use]
    pub fn shares_imports_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.shared, &other.0.shared)
    }
}

impl fmt::Debug for FunctionPre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionPre").field("export", &self.0.export).finish_non_exhaustive()
    }
}

pub(crate) fn link(
    variants: &Arc<Variants>,
    compiled: &Compiled,
    grants: &Grants,
    method: &str,
) -> Result<FunctionPre, LinkError> {
    let Some(component) = compiled.0.component() else {
        return Err(mismatch("expected a component, found a core module"));
    };
    let variant = variants.first(compiled.0.key)?;
    let exports = Exports::of(&variant.engine, component);
    let place = exports.find(method)?;
    let (func, _) = exports::locate(component, place)
        .ok_or_else(|| mismatch("an export is missing from the machine code"))?;

    let shared = shared_pre(variants, compiled, grants)?;
    let mapping = Mapping::new(&func)
        .map_err(|source| LinkError::Signature { method: place.method(), source })?;
    let export = exports::shown(place, &mapping);
    let name = CalleeName::Component(place.clone());
    let callee = ShardedCallee::new(name, &compiled.0.program, Some(mapping.lane()))?;
    Ok(FunctionPre::new(callee, export, mapping, shared, compiled.clone()))
}

/// Links a module with its grants and resolves `method` to a function.
pub(crate) fn link_core(
    variants: &Arc<Variants>,
    (compiled, core): (&Compiled, &CoreModule),
    grants: &Grants,
    method: &str,
) -> Result<FunctionPre, LinkError> {
    if compiled.0.component().is_some() {
        return Err(mismatch("expected a core module, found a component"));
    }
    let function = core_module::find(core, method)?;
    let shared = shared_pre(variants, compiled, grants)?;
    let place = core_module::place(function);
    let refused = |source| LinkError::Signature { method: place.method(), source };
    let signature = core.signature(function).map_err(refused)?;
    let mapping = Mapping::from_signature(signature).map_err(refused)?;
    let export = exports::shown(&place, &mapping);
    let name = CalleeName::Core(CoreExports::new(core, function));
    let callee = ShardedCallee::new(name, &compiled.0.program, Some(mapping.lane()))?;
    Ok(FunctionPre::new(callee, export, mapping, shared, compiled.clone()))
}

/// Links `compiled` with `grants` on the first shard, or reuses the linked form of another function.
pub(crate) fn shared_pre(
    variants: &Arc<Variants>,
    compiled: &Compiled,
    grants: &Grants,
) -> Result<Arc<SharedPre>, LinkError> {
    if let Some(shared) = compiled.0.pre_cache.find(grants) {
        return Ok(shared);
    }
    let (key, program) = (compiled.0.key, &compiled.0.program);
    let variant = variants.first(key)?;
    let (pre, imports) = resolve(variant, program.first(), grants)?;
    let shared = Arc::new(SharedPre {
        shards: Sharded::new(ShardPre::new(variant, pre, program.first()), program.shards()),
        imports,
        has_imports: program.first().has_imports(&variant.engine),
        variants: Arc::clone(variants),
        key,
        program: Arc::clone(program),
        grants: grants.clone(),
    });
    compiled.0.pre_cache.keep(grants, &shared);
    Ok(shared)
}

/// Resolves the imports of code on one shard.
pub(crate) fn resolve(
    variant: &EngineVariant,
    code: &MachineCode,
    grants: &Grants,
) -> Result<(Pre, Vec<Import>), LinkError> {
    match code {
        MachineCode::Component(component) => {
            let mut linker = variant.everything.clone();
            let imports = restrict(variant, &mut linker, component, grants)?;
            let pre = linker.instantiate_pre(component).map_err(LinkError::Mismatch)?;
            Ok((Pre::Component(pre), imports))
        }
        MachineCode::Module(module) => {
            let (pre, imports) = core_module::instantiate_pre(variant, module, grants)?;
            Ok((Pre::Module { pre, has_folders: core_module::has_folders(grants) }, imports))
        }
    }
}

/// Replaces imported functions that `grants` lacks, and adds those that the host lacks, with stubs that
/// return an empty value or fail the call.
pub(crate) fn restrict(
    variant: &EngineVariant,
    linker: &mut Linker<Host>,
    component: &Component,
    grants: &Grants,
) -> Result<Vec<Import>, LinkError> {
    let ty = component.component_type();
    let imports = ty.imports(&variant.engine);
    imports.map(|(name, item)| restrict_one(variant, linker, (name, item.ty), grants)).collect()
}

fn restrict_one(
    variant: &EngineVariant,
    linker: &mut Linker<Host>,
    (name, item): (&str, ComponentItem),
    grants: &Grants,
) -> Result<Import, LinkError> {
    let served = variant.capabilities.serving(name);
    let interface = served.map(|served| served.interface.name.clone());
    let granted = interface.as_deref().is_some_and(|interface| grants.contains(interface));
    let refused = |what| LinkError::Import { name: name.to_owned(), what };
    let stubs = match item {
        ComponentItem::ComponentInstance(ty) => {
            let (engine, entry) = (&variant.engine, grants.entry.as_ref());
            let import = ImportedInterface { engine, name, ty: &ty, entry };
            define_interface(linker, &import, served, granted)?
        }
        ComponentItem::ComponentFunc(func) => {
            linker.allow_shadowing(true);
            stubs::deny(&mut linker.root(), "", name, func.async_(), false)
                .map_err(LinkError::Mismatch)?;
            Stubs { missing: vec![name.to_owned()], ..Stubs::default() }
        }
        ComponentItem::Module(_) => return Err(refused("a core module")),
        ComponentItem::Component(_) => return Err(refused("a component")),
        // Types grant nothing; the linker reports a resource that is imported at top level.
        _ => Stubs::default(),
    };
    let (Stubs { denied, missing }, name) = (stubs, name.to_owned());
    Ok(Import { name, interface, granted, denied, missing, core: None })
}

/// Defines the functions of an interface: those of the capability that serves it, if granted, and stubs.
fn define_interface(
    linker: &mut Linker<Host>,
    import: &ImportedInterface<'_>,
    served: Option<Served<'_>>,
    granted: bool,
) -> Result<Stubs, LinkError> {
    // The host's definitions carry the host's own version in their names.
    let definition = served.and_then(|served| served.definition());
    let place = definition.as_deref().unwrap_or(import.name);
    if let (true, Some(served)) = (granted, served) {
        linker.allow_shadowing(true);
        let mut into = linker.instance(place).map_err(LinkError::Mismatch)?;
        served.capability.define(import, &mut into)?;
    }
    let would_define = |function: &str| {
        served.is_some_and(|served| served.capability.would_define(import.name, function))
    };
    let restriction = Restriction {
        import,
        ungranted: served.map_or(Ungranted::Denied, |served| served.interface.ungranted),
        granted,
        has_types: definition.is_some(),
        would_define: &would_define,
    };
    restriction.apply(linker, place).map_err(LinkError::Mismatch)
}
