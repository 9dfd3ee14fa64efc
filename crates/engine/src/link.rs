//! Linking of components and core modules: all work that is possible before a call.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crisol_wit::{CoreModule, Mapping};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Linker};

use crate::base::Base;
use crate::compile::Compiled;
use crate::core_module::{self, CoreTarget};
use crate::denied::{self, Imported, Stubs};
use crate::exports::{self, Export, Exports};
use crate::host::Host;
use crate::imports::{Import, Profile, calls_others};
use crate::joined::{Joined, Pre};
use crate::link_error::LinkError;
use crate::program::Program;
use crate::releases::{definition_of, interface_of};

/// A function of a component or core module, linked with its grants. Cloning increments a reference count.
#[derive(Clone)]
pub struct Linked(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) target: Target,
    pub(crate) export: Export,
    pub(crate) mapping: Mapping,
    pub(crate) runs_once: bool,
    /// Linked form, shared with other functions of the same code and profile.
    pub(crate) joined: Arc<Joined>,
    /// Keeps the code in the engine's cache for the next function of the same bytes.
    pub(crate) code: Compiled,
}

/// Callee of an instance, resolved before instantiation.
#[derive(Clone)]
pub(crate) enum Target {
    Component { index: ComponentExportIndex },
    Core(Arc<CoreTarget>),
}

impl Linked {
    pub(crate) fn new(
        target: Target,
        export: Export,
        mapping: Mapping,
        joined: Arc<Joined>,
        code: Compiled,
    ) -> Self {
        let runs_once = export.is_program(mapping.signature());
        Self(Arc::new(Inner { target, export, mapping, runs_once, joined, code }))
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
        self.0.code.0.flavour.concurrent
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

    /// All imports of the code, whether it calls them or not.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.0.joined.imports
    }

    /// Returns true if two functions share their resolved imports, like functions of the same code and the same
    /// profile.
    #[must_use]
    pub fn shares_imports_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.joined, &other.0.joined)
    }
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked").field("export", &self.0.export).finish_non_exhaustive()
    }
}

pub(crate) fn link(
    base: &Base,
    compiled: &Compiled,
    profile: &Profile,
    method: &str,
) -> Result<Linked, LinkError> {
    let Some(component) = compiled.0.component() else {
        return Err(LinkError::Mismatch(wasmtime::Error::msg("a core module is no component")));
    };
    let exports = Exports::of(&base.engine, component);
    let place = exports.find(method)?;
    let (func, index) = exports::locate(component, place)
        .ok_or_else(|| LinkError::Mismatch(wasmtime::Error::msg("an export vanished")))?;

    let joined = join(base, compiled, profile)?;
    let mapping = Mapping::new(&func)
        .map_err(|source| LinkError::Signature { method: place.method(), source })?;
    let export = exports::shown(place, &mapping);
    let target = Target::Component { index };
    let code = compiled.clone();
    Ok(Linked::new(target, export, mapping, joined, code))
}

/// Links a module with its grants and resolves `method` to a function.
pub(crate) fn link_core(
    base: &Base,
    (compiled, core): (&Compiled, &CoreModule),
    profile: &Profile,
    method: &str,
) -> Result<Linked, LinkError> {
    let Program::Module(module) = &compiled.0.program else {
        return Err(LinkError::Mismatch(wasmtime::Error::msg("a component is no core module")));
    };
    let function = core_module::find(core, method)?;
    let joined = join(base, compiled, profile)?;
    let place = core_module::place(function);
    let refused = |source| LinkError::Signature { method: place.method(), source };
    let signature = core.signature(function).map_err(refused)?;
    let mapping = Mapping::from_signature(signature).map_err(refused)?;
    let export = exports::shown(&place, &mapping);
    let target = Target::Core(Arc::new(core_module::target(module, core, function)?));
    let code = compiled.clone();
    Ok(Linked::new(target, export, mapping, joined, code))
}

/// Links `compiled` with the grants of `profile`, or reuses the linked form of another function.
pub(crate) fn join(
    base: &Base,
    compiled: &Compiled,
    profile: &Profile,
) -> Result<Arc<Joined>, LinkError> {
    if let Some(joined) = compiled.0.joined.find(profile) {
        return Ok(joined);
    }
    let (pre, imports) = match &compiled.0.program {
        Program::Component(component) => {
            let mut linker = base.everything.clone();
            let imports = restrict(base, &mut linker, component, profile)?;
            let pre = linker.instantiate_pre(component).map_err(LinkError::Mismatch)?;
            (Pre::Component(pre), imports)
        }
        Program::Module(module) => {
            let (pre, imports) = core_module::join(base, module, profile)?;
            let has_folders = core_module::has_folders(profile);
            (Pre::Module { pre, has_folders }, imports)
        }
    };
    let (budget, ticks) = (base.budget.clone(), base.ticks.clone());
    let joined = Arc::new(Joined { pre, imports, budget, ticks });
    compiled.0.joined.keep(profile, &joined);
    Ok(joined)
}

/// Replaces imported functions that `profile` does not grant, and adds those that the host lacks, with stubs that
/// return an empty value or fail the call.
pub(crate) fn restrict(
    base: &Base,
    linker: &mut Linker<Host>,
    component: &Component,
    profile: &Profile,
) -> Result<Vec<Import>, LinkError> {
    let mut imports = Vec::new();
    let ty = component.component_type();
    for (name, item) in ty.imports(&base.engine) {
        let own = base.own.serving(name);
        let bare = own.map(|own| own.bare_name().to_owned().into());
        let interface: Option<Cow<'static, str>> = interface_of(name).map(Cow::Borrowed).or(bare);
        let granted = interface.as_deref().is_some_and(|interface| profile.grants(interface));
        let stubs = match item.ty {
            ComponentItem::ComponentInstance(wanted) => {
                // The host's definitions carry the host's own version in their names.
                let defined = definition_of(name);
                let (has_types, place) = (defined.is_some(), defined.as_deref().unwrap_or(name));
                if let (true, Some(own)) = (granted, own) {
                    linker.allow_shadowing(true);
                    let mut into = linker.instance(place).map_err(LinkError::Mismatch)?;
                    own.define(&base.engine, &mut into, name, &wanted, profile.entry.as_ref())?;
                }
                let offers = |function: &str| !granted && own.is_some_and(|own| own.has(function));
                let imported = Imported {
                    name,
                    interface: interface.as_deref(),
                    granted,
                    has_types,
                    offers: &offers,
                };
                imported
                    .stand_in(&base.engine, linker, place, &wanted)
                    .map_err(LinkError::Mismatch)?
            }
            ComponentItem::ComponentFunc(func) => {
                linker.allow_shadowing(true);
                denied::deny(&mut linker.root(), "", name, func.async_(), false)
                    .map_err(LinkError::Mismatch)?;
                Stubs { missing: vec![name.to_owned()], ..Stubs::default() }
            }
            ComponentItem::Module(_) => {
                return Err(LinkError::Import { name: name.to_owned(), what: "a core module" });
            }
            ComponentItem::Component(_) => {
                return Err(LinkError::Import { name: name.to_owned(), what: "a component" });
            }
            // Types grant nothing; the linker reports a resource that is imported at top level.
            _ => Stubs::default(),
        };
        let Stubs { denied, missing } = stubs;
        let name = name.to_owned();
        let import = Import { name, interface, granted, denied, missing, core: None };
        imports.push(import);
    }
    Ok(imports)
}
