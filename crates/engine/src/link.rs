//! A component joined to what it may use: everything before the call has been done.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_wit::{Mapping, UnsupportedType};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentExportIndex, Linker};

use crate::bindings::{self, definition_of, host_interfaces, interface_of};
use crate::compile::Compiled;
use crate::denied::{Offer, deny_function, deny_instance};
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

/// Something that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name, as the component has it: `wasi:clocks/wall-clock@0.2.3`.
    pub name: String,
    /// The host interface that serves it, without version; `None` when the host has none.
    pub interface: Option<Cow<'static, str>>,
    /// Whether the function's profile grants it.
    pub granted: bool,
    /// Whether there is anything in it to call: an interface may hold nothing but types.
    pub callable: bool,
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
    /// The embedding program serves an interface, and not this function of it.
    #[error(
        "the component imports `{function}` of `{interface}`, which the host serves without such a function{}",
        listed(.there)
    )]
    NoHostFunction {
        /// The interface, as the program serves it.
        interface: String,
        /// The function.
        function: String,
        /// The functions that it has.
        there: Vec<String>,
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
    /// An import has another type than the host's function of that name.
    #[error("an import does not fit this host, which implements {}", bindings::versions())]
    Mismatch(#[source] wasmtime::Error),
    /// An engine for this kind of function could not be set up.
    #[error(transparent)]
    Engine(#[from] crate::EngineError),
}

/// One function of one component, joined to what it may use. Cloning is a reference count.
#[derive(Clone)]
pub struct Linked(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) index: ComponentExportIndex,
    pub(crate) has_result: bool,
    export: Export,
    mapping: Mapping,
    /// Shared with the other functions of the same code and profile.
    pub(crate) joined: Arc<Joined>,
    /// Keeps the code in the engine's cache for the next function of the same bytes.
    code: Compiled,
}

impl Linked {
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

    /// Everything that the component imports, whether or not it ever calls it.
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
    let component = &compiled.0.component;
    let exports = Exports::of(&base.engine, component);
    let place = exports.find(method)?;
    let (func, index) = exports::locate(component, place)
        .ok_or_else(|| LinkError::Mismatch(wasmtime::Error::msg("an export vanished")))?;

    let joined = joined::join(base, compiled, profile)?;
    let mapping = Mapping::new(&func)
        .map_err(|source| LinkError::Signature { method: place.method(), source })?;
    let export = exports::shown(place, &mapping);
    let has_result = func.results().len() > 0;
    let code = compiled.clone();
    Ok(Linked(Arc::new(Inner { index, has_result, export, mapping, joined, code })))
}

/// Replaces the functions of everything that the component imports and `profile` does not grant by
/// ones that fail the call.
pub(crate) fn restrict(
    base: &Base,
    linker: &mut Linker<Host>,
    compiled: &Compiled,
    profile: &Profile,
) -> Result<Vec<Import>, LinkError> {
    linker.allow_shadowing(true);
    let mut imports = Vec::new();
    let ty = compiled.0.component.component_type();
    for (name, item) in ty.imports(&base.engine) {
        let import = import(base, profile, name, &item.ty);
        let own = base.own.serving(name);
        let what = match item.ty {
            ComponentItem::ComponentInstance(wanted) if import.granted && own.is_some() => {
                let mut into = linker.instance(name).map_err(LinkError::Mismatch)?;
                let entry = profile.entry.as_ref();
                own.map_or(Ok(()), |own| own.define(&base.engine, &mut into, name, &wanted, entry))
            }
            _ if import.granted => Ok(()),
            ComponentItem::ComponentInstance(wanted) => {
                // Under the name of the host's own version its resource types are found again.
                let defined = definition_of(name);
                let offer = match &import.interface {
                    None => Offer::None,
                    Some(_) if defined.is_none() => Offer::Functions,
                    Some(_) => Offer::All,
                };
                let mut into = linker
                    .instance(defined.as_deref().unwrap_or(name))
                    .map_err(LinkError::Mismatch)?;
                deny_instance(&base.engine, &mut into, name, &wanted, offer)
                    .map_err(LinkError::Mismatch)?;
                Ok(())
            }
            ComponentItem::ComponentFunc(func) => {
                deny_function(&mut linker.root(), "", name, func.async_(), Offer::None)
                    .map_err(LinkError::Mismatch)
            }
            ComponentItem::Module(_) => {
                Err(LinkError::Import { name: name.to_owned(), what: "a core module" })
            }
            ComponentItem::Component(_) => {
                Err(LinkError::Import { name: name.to_owned(), what: "a component" })
            }
            // Types carry no capability; a resource imported by itself stays for the linker to name.
            _ => Ok(()),
        };
        what?;
        imports.push(import);
    }
    Ok(imports)
}

fn import(base: &Base, profile: &Profile, name: &str, item: &ComponentItem) -> Import {
    let own = || base.own.serving(name).map(|own| own.bare_name().to_owned().into());
    let interface = interface_of(name).map(Cow::Borrowed).or_else(own);
    let granted = interface.as_deref().is_some_and(|interface| profile.grants(interface));
    let callable = is_callable(&base.engine, item);
    Import { name: name.to_owned(), interface, granted, callable }
}

/// Everything that a component imports.
pub(crate) fn imports(base: &Base, compiled: &Compiled, profile: &Profile) -> Vec<Import> {
    let ty = compiled.0.component.component_type();
    let imports = ty.imports(&base.engine);
    imports.map(|(name, item)| import(base, profile, name, &item.ty)).collect()
}

pub(crate) fn calls_others(imports: &[Import]) -> bool {
    let mut granted = imports.iter().filter(|import| import.granted);
    granted.any(|import| import.interface.as_deref().is_some_and(funcs::is_funcs))
}

fn is_callable(engine: &wasmtime::Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::ComponentFunc(_) => true,
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).any(|(_, item)| is_callable(engine, &item.ty))
        }
        _ => false,
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(": it has `{}`", names.join("`, `")),
    }
}
