//! Capabilities: sources of host interfaces that entries grant to their guests. [`BUILT_IN`] lists all that this crate
//! has; the embedding program adds its interfaces per engine.
//!
//! A capability works at four moments: its interfaces are known to the registry before anything loads, its functions
//! are defined once per engine, or for each component that imports them, and its state in an instance
//! (`InstanceState`) is created when the guest first uses it, from the settings of the entry
//! ([`EntrySettings`](crate::EntrySettings)). A guest that does not use a capability pays nothing for it.

mod funcs;
mod host_interface;
mod http;
mod wasi;

use std::borrow::Cow;

use crisol_core::EntryId;
use crisol_wit::UnsupportedType;
use wasmtime::component::types::ComponentInstance;
use wasmtime::component::{Linker, LinkerInstance};

use crate::config::VariantKey;
use crate::host::Host;
use crate::releases::{Interface, Release, parse};

pub use funcs::Funcs;
pub(crate) use funcs::{LentFuncs, is_funcs};
pub(crate) use host_interface::HostInterfaces;
pub use host_interface::{HostCall, HostError, HostInterface, HostInterfaceError};

/// A source of host interfaces.
pub(crate) trait Capability: Send + Sync {
    /// The interfaces that it serves, by release.
    fn releases(&self) -> &[Release];

    /// Defines its functions in the linker of an engine, as if granted. Denied functions are replaced for each component.
    fn add_to_linker(&self, linker: &mut Linker<Host>, key: VariantKey) -> wasmtime::Result<()>;

    /// Defines the functions whose types only the importing component tells. Called for each component that is granted
    /// the interface.
    fn define(
        &self,
        _import: &ImportedInterface<'_>,
        _into: &mut LinkerInstance<'_, Host>,
    ) -> Result<(), DefineError> {
        Ok(())
    }

    /// Returns true if [`define`](Capability::define) would define a function of an import.
    fn would_define(&self, _import: &str, _function: &str) -> bool {
        false
    }
}

/// The capabilities that this crate has.
static BUILT_IN: [&dyn Capability; 3] = [&wasi::Wasi, &http::Http, &funcs::FuncsCapability];

/// An interface that a component imports.
pub(crate) struct ImportedInterface<'a> {
    pub(crate) engine: &'a wasmtime::Engine,
    /// The name, as the component imports it.
    pub(crate) name: &'a str,
    pub(crate) ty: &'a ComponentInstance,
    /// The importing entry, as shown to host functions of the embedding program.
    pub(crate) entry: Option<&'a EntryId>,
}

/// Reason that a function cannot be defined for a component.
pub(crate) enum DefineError {
    /// The function has a type without plain values.
    Signature {
        function: String,
        source: UnsupportedType,
    },
    /// The interface has a resource, and its functions take plain values.
    Resource {
        interface: String,
        resource: String,
    },
    Linker(wasmtime::Error),
}

/// An import, and the capability that serves it.
#[derive(Clone, Copy)]
pub(crate) struct Served<'a> {
    pub(crate) capability: &'a dyn Capability,
    release: &'a Release,
    pub(crate) interface: &'a Interface,
}

impl Served<'_> {
    /// The name of the definition in the linker of an engine, with the release's own version. `None` for an interface
    /// that is defined for each component.
    pub(crate) fn definition(&self) -> Option<String> {
        let version = self.release.version.as_ref().filter(|_| !self.release.family.is_empty())?;
        Some(format!("{}@{version}", self.interface.name))
    }
}

/// All capabilities of an engine.
#[derive(Default)]
pub(crate) struct Capabilities(HostInterfaces);

impl Capabilities {
    /// Returns the built-in capabilities and the interfaces of the embedding program.
    pub(crate) fn new(interfaces: Vec<HostInterface>) -> Self {
        Self(HostInterfaces::new(interfaces))
    }

    fn all(&self) -> impl Iterator<Item = &dyn Capability> {
        BUILT_IN.into_iter().chain([&self.0 as &dyn Capability])
    }

    /// Finds the capability that serves an import, by the name in the guest. By the component model's rule, guests built
    /// against another version with the same first two numbers link to a release, too.
    pub(crate) fn serving(&self, import: &str) -> Option<Served<'_>> {
        let (bare, version) = parse(import)?;
        self.all().find_map(|capability| {
            capability.releases().iter().find_map(|release| {
                let interface = release.serving(bare, version.as_ref())?;
                Some(Served { capability, release, interface })
            })
        })
    }

    /// Builds a linker with all functions that have the same type for each component. This takes a fifth of a
    /// millisecond, so it is built once per engine and cloned for each function.
    pub(crate) fn linker(
        &self,
        engine: &wasmtime::Engine,
        key: VariantKey,
    ) -> wasmtime::Result<Linker<Host>> {
        let mut linker = Linker::new(engine);
        for capability in self.all() {
            capability.add_to_linker(&mut linker, key)?;
        }
        Ok(linker)
    }

    /// Names of the embedding program's interfaces, without version.
    pub(crate) fn host_interfaces(&self) -> impl Iterator<Item = Cow<'static, str>> {
        names_of(&self.0)
    }
}

/// Names of all interfaces that an engine without interfaces of the embedding program serves, without version.
/// `imports` can name each.
pub fn built_in_interfaces() -> impl Iterator<Item = Cow<'static, str>> {
    BUILT_IN.into_iter().flat_map(names_of)
}

fn names_of(capability: &dyn Capability) -> impl Iterator<Item = Cow<'static, str>> {
    let interfaces = capability.releases().iter().flat_map(|release| release.interfaces.iter());
    interfaces.map(|interface| interface.name.clone())
}

/// Lists the built-in releases with their versions, for messages.
pub(crate) fn versions() -> String {
    let mut versions: Vec<String> = Vec::new();
    for release in BUILT_IN.into_iter().flat_map(Capability::releases) {
        let Some(version) = &release.version else { continue };
        let version = format!("{} {version}", release.family);
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_finds_the_host_interface_of_a_compatible_version() {
        let capabilities = Capabilities::default();
        let serving = |import| {
            let served = capabilities.serving(import)?;
            Some((served.interface.name.to_string(), served.definition()?))
        };
        for (import, definition) in [
            ("wasi:clocks/wall-clock@0.2.0", Some("wasi:clocks/wall-clock@0.2.12")),
            ("wasi:clocks/wall-clock@0.2.99", Some("wasi:clocks/wall-clock@0.2.12")),
            // 0.3 has no such clock.
            ("wasi:clocks/wall-clock@0.3.0", None),
            ("wasi:clocks/system-clock@0.3.1", Some("wasi:clocks/system-clock@0.3.0")),
            ("wasi:clocks/system-clock@0.2.0", None),
            ("wasi:random/random@0.3.7", Some("wasi:random/random@0.3.0")),
            ("wasi:random/random@0.2.0", Some("wasi:random/random@0.2.12")),
            ("wasi:http/types@0.2.3", Some("wasi:http/types@0.2.12")),
            ("crisol:runtime/funcs@0.1.9", Some("crisol:runtime/funcs@0.1.0")),
            ("wasi:clocks/wall-clock@0.2.0-rc-2023-11-10", None),
            ("wasi:clocks/wall-clock", None),
            ("wasi:nn/graph@0.2.0", None),
        ] {
            let found = serving(import);
            assert_eq!(found.as_ref().map(|(_, found)| found.as_str()), definition, "{import}");
            if let Some((bare, _)) = found {
                assert_eq!(import.split('@').next(), Some(bare.as_str()));
            }
        }
    }

    #[test]
    fn releases_are_listed_once() {
        assert_eq!(versions(), "WASI 0.2.12, WASI 0.3.0, crisol:runtime 0.1.0");
        let mut names: Vec<_> = built_in_interfaces().collect();
        names.sort();
        assert!(names.len() > 40 && names.contains(&"crisol:runtime/funcs".into()));
    }
}
