//! A component or a core module joined to what it may use: everything before the call has been done.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_wit::{Mapping, UnknownFunction, UnsupportedType};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Linker};

use crate::bindings::{self, definition_of, host_interfaces, interface_of};
use crate::call_graph::Reached;
use crate::compile::Compiled;
use crate::core_module::CoreTarget;
use crate::denied::{self, Imported, Stubs};
use crate::engine::Base;
use crate::exports::{self, Export, Exports, MethodError};
use crate::funcs;
use crate::host::Host;
use crate::joined::{self, Joined};

/// The host interfaces that a function may use, by their names without version. What is absent is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    interfaces: BTreeSet<Cow<'static, str>>,
    /// Who host functions of the embedding program are told that they serve.
    entry: Option<EntryId>,
}

impl Profile {
    /// The profile that grants the host interfaces for which `grants` says so, those of the embedding
    /// program apart: [`Engine::profile`](crate::Engine::profile) has them too.
    pub fn granting(mut grants: impl FnMut(&str) -> bool) -> Self {
        let granted = host_interfaces().filter(|interface| grants(interface));
        Self { interfaces: granted.map(Cow::Borrowed).collect(), entry: None }
    }

    /// The same, with interfaces of the embedding program, whose functions are told which entry calls.
    pub(crate) fn with_own(mut self, own: Vec<Cow<'static, str>>, entry: &EntryId) -> Self {
        // Without any, functions of the same code have equal profiles and share what is made of them.
        self.entry = (!own.is_empty()).then(|| entry.clone());
        self.and(own)
    }

    /// The same, with `more` granted.
    pub(crate) fn and(mut self, more: impl IntoIterator<Item = Cow<'static, str>>) -> Self {
        self.interfaces.extend(more);
        self
    }

    /// Whether `interface`, a name without version such as `wasi:clocks/wall-clock`, is granted.
    #[must_use]
    pub fn grants(&self, interface: &str) -> bool {
        self.interfaces.contains(interface)
    }
}

/// Something that code imports: an interface or a function of a component, or functions of a core module that the same
/// host interface serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name, as the code has it: `wasi:clocks/wall-clock@0.2.3`, `wasi_snapshot_preview1`.
    pub name: String,
    /// The host interface that serves it, without version; `None` when the host has none.
    pub interface: Option<Cow<'static, str>>,
    /// Whether the function's profile grants it.
    pub granted: bool,
    /// Functions of it that fail the call that uses them, and that a grant would serve.
    pub denied: Vec<String>,
    /// Functions of it that fail the call that uses them, since the host has none such.
    pub missing: Vec<String>,
    /// Functions of it, if a core module imports it.
    pub core: Option<CoreImport>,
}

/// Functions that a core module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreImport {
    /// All of them.
    pub functions: Vec<String>,
    /// Origin of what nothing provides, and how to build the module instead.
    pub unknown: Option<UnknownFunction>,
}

impl Import {
    /// Whether it is a function imported by itself, and no interface.
    #[must_use]
    pub fn is_function(&self) -> bool {
        self.core.is_none() && self.missing == [self.name.as_str()]
    }

    /// A function of it, as messages show it.
    #[must_use]
    pub fn function(&self, name: &str) -> String {
        if self.is_function() { name.to_owned() } else { format!("{}#{name}", self.name) }
    }

    /// The name by which a grant knows it: of a core module's import that of the host interface.
    #[must_use]
    pub fn granted_as(&self) -> &str {
        match (&self.core, &self.interface) {
            (Some(_), Some(interface)) => interface,
            _ => &self.name,
        }
    }

    /// Whether a call may come to any function of it.
    #[must_use]
    pub fn is_reached(&self, reached: &Reached) -> bool {
        match &self.core {
            Some(core) => core.functions.iter().any(|name| reached.has(&self.name, name)),
            None => reached.has_any(&self.name),
        }
    }

    /// Whether a call may fail for want of it. Of an interface that is not granted this may be false: it holds nothing
    /// but types, or functions that need no grant.
    #[must_use]
    pub fn may_fail(&self) -> bool {
        !self.denied.is_empty() || !self.missing.is_empty()
    }
}

/// Why a component could not be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The method is not one export.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The function takes or gives something that has no value outside the guest.
    #[error("the export `{method}` cannot be called from outside")]
    Signature {
        /// The export.
        method: String,
        /// Which parameter or result, and its type.
        source: UnsupportedType,
    },
    /// The component imports a core module or a component, which no host provides.
    #[error("the component imports `{name}` as {what}: build it into the component instead")]
    Import {
        /// The import.
        name: String,
        /// What kind of thing it is.
        what: &'static str,
    },
    /// A function that the embedding program serves is imported with a type that has no plain values.
    #[error("the import `{function}` cannot be served by a host function")]
    HostSignature {
        /// `interface#function`, as imported.
        function: String,
        /// Which parameter or result, and its type.
        source: UnsupportedType,
    },
    /// An interface that the embedding program serves is imported with a resource.
    #[error(
        "the component imports `{interface}` with the resource `{resource}`, and host functions take and give plain values"
    )]
    HostResource {
        /// The interface, as imported.
        interface: String,
        /// The resource.
        resource: String,
    },
    /// A core module imports something other than a function, which no host provides.
    #[error(
        "the module imports `{name}` from `{module}` as {what}, which nothing provides: build it in instead"
    )]
    CoreImport {
        /// The module that it is imported from.
        module: String,
        /// Its name there.
        name: String,
        /// Kind of thing that it is.
        what: &'static str,
    },
    /// An import has another type than the host's function of that name.
    #[error("an import does not fit this host, which implements {}", bindings::versions())]
    Mismatch(#[source] wasmtime::Error),
    /// An engine for this kind of function could not be set up.
    #[error(transparent)]
    Engine(#[from] crate::EngineError),
}

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

    let joined = joined::join(base, compiled, profile)?;
    let mapping = Mapping::new(&func)
        .map_err(|source| LinkError::Signature { method: place.method(), source })?;
    let export = exports::shown(place, &mapping);
    let target = Target::Component { index };
    let code = compiled.clone();
    Ok(Linked::new(target, export, mapping, joined, code))
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

pub(crate) fn calls_others(imports: &[Import]) -> bool {
    let mut granted = imports.iter().filter(|import| import.granted);
    granted.any(|import| import.interface.as_deref().is_some_and(funcs::is_funcs))
}
