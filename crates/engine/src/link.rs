//! A component or a core module joined to what it may use: everything before the call has been done.

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

/// One function of one component or core module, joined to what it may use. Cloning is a reference count.
#[derive(Clone)]
pub struct Linked(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) target: Target,
    pub(crate) export: Export,
    pub(crate) mapping: Mapping,
    pub(crate) runs_once: bool,
    /// Shared with the other functions of the same code and profile.
    pub(crate) joined: Arc<Joined>,
    /// Keeps the code in the engine's cache for the next function of the same bytes.
    pub(crate) code: Compiled,
}

/// Callee of an instance, found before there is one.
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

    /// The values that the function takes and gives.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.0.mapping
    }

    /// The machine code that it runs.
    #[must_use]
    pub fn code(&self) -> &Compiled {
        &self.0.code
    }

    /// Whether it runs on the engine with support for asynchronous functions, as WASI 0.3 guests do.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        self.0.code.0.flavour.concurrent
    }

    /// Whether it is the entry point of a program, after which its instance is of no further use.
    #[must_use]
    pub fn runs_once(&self) -> bool {
        self.0.runs_once
    }

    /// The export that the method meant.
    #[must_use]
    pub fn export(&self) -> &Export {
        &self.0.export
    }

    /// Whether it may call other functions: it imports `funcs`, and that is granted.
    #[must_use]
    pub fn calls_others(&self) -> bool {
        calls_others(self.imports())
    }

    /// Everything that the code imports, whether or not it ever calls it.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.0.joined.imports
    }

    /// Whether two are joined to the host by the same resolved imports, as functions of the same code and
    /// the same profile are.
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

/// Joins a module to what it may use and finds the function that `method` means.
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

/// Joins `compiled` to what `profile` grants, or finds what was made for another of its functions.
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

/// Replaces the functions of everything that the component imports and `profile` does not grant, and adds those that the
/// host does not have: they give nothing, or fail the call.
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
                // Under the name of the host's own version its functions and resource types are found again.
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
            // Types carry no capability; a resource imported by itself stays for the linker to name.
            _ => Stubs::default(),
        };
        let Stubs { denied, missing } = stubs;
        let name = name.to_owned();
        let import = Import { name, interface, granted, denied, missing, core: None };
        imports.push(import);
    }
    Ok(imports)
}
