//! Imports of code, and the grants of an entry.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crisol_core::EntryId;
use crisol_wit::UnknownFunction;

use crate::call_graph::ReachableImports;
use crate::capability::{built_in_interfaces, is_funcs};

/// Grants of a function: host interfaces by name without version. All others are denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    interfaces: BTreeSet<Cow<'static, str>>,
    /// The calling entry, as shown to host functions of the embedding program.
    pub(crate) entry: Option<EntryId>,
}

impl Grants {
    /// Grants each host interface for which `select` returns true, without those of
    /// the embedding program; [`Engine::grants`](crate::Engine::grants) includes these.
    pub fn select(mut select: impl FnMut(&str) -> bool) -> Self {
        let granted = built_in_interfaces().filter(|interface| select(interface));
        Self { interfaces: granted.collect(), entry: None }
    }

    /// Adds interfaces of the embedding program, whose functions see the calling entry.
    pub(crate) fn with_host_interfaces(
        mut self,
        interfaces: Vec<Cow<'static, str>>,
        entry: &EntryId,
    ) -> Self {
        // Without such interfaces, functions of the same code have equal grants and share their linked form.
        self.entry = (!interfaces.is_empty()).then(|| entry.clone());
        self.with(interfaces)
    }

    /// Adds the grants in `more`.
    pub(crate) fn with(mut self, more: impl IntoIterator<Item = Cow<'static, str>>) -> Self {
        self.interfaces.extend(more);
        self
    }

    /// Returns true if `interface`, a name without version such as `wasi:clocks/wall-clock`, is granted.
    #[must_use]
    pub fn contains(&self, interface: &str) -> bool {
        self.interfaces.contains(interface)
    }
}

/// An import: an interface or function that a component imports, or the functions that a core module imports from
/// one host interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name in the code, such as `wasi:clocks/wall-clock@0.2.3` or `wasi_snapshot_preview1`.
    pub name: String,
    /// The host interface that serves it, without version; `None` if the host has none.
    pub interface: Option<Cow<'static, str>>,
    /// True if the function is granted it.
    pub granted: bool,
    /// Imported functions that fail the call that uses them, until they are granted.
    pub denied: Vec<String>,
    /// Imported functions that fail the call that uses them, since the host lacks them.
    pub missing: Vec<String>,
    /// The imported functions, if a core module imports it.
    pub core: Option<CoreImport>,
}

/// Functions that a core module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreImport {
    /// Names of the functions.
    pub functions: Vec<String>,
    /// Origin of functions that the host does not provide, and advice for building the module without them.
    pub unknown: Option<UnknownFunction>,
}

impl Import {
    /// Returns true for a top-level function, false for an interface.
    #[must_use]
    pub fn is_function(&self) -> bool {
        self.core.is_none() && self.missing == [self.name.as_str()]
    }

    /// Formats one of its functions for messages.
    #[must_use]
    pub fn function(&self, name: &str) -> String {
        if self.is_function() { name.to_owned() } else { format!("{}#{name}", self.name) }
    }

    /// The name to grant: for a core module's import, the host interface.
    #[must_use]
    pub fn granted_as(&self) -> &str {
        match (&self.core, &self.interface) {
            (Some(_), Some(interface)) => interface,
            _ => &self.name,
        }
    }

    /// Returns true if a call may reach any function of it.
    #[must_use]
    pub fn is_reachable(&self, reachable: &ReachableImports) -> bool {
        match &self.core {
            Some(core) => core.functions.iter().any(|name| reachable.has(&self.name, name)),
            None => reachable.has_any(&self.name),
        }
    }

    /// Returns true if a call may fail for lack of it. This can be false for an interface that is not granted, if it
    /// has only types, or functions that need no grant.
    #[must_use]
    pub fn may_fail(&self) -> bool {
        !self.denied.is_empty() || !self.missing.is_empty()
    }
}

/// Returns true if one of `imports` is `funcs`, and granted.
pub(crate) fn calls_others(imports: &[Import]) -> bool {
    let mut granted = imports.iter().filter(|import| import.granted);
    granted.any(|import| import.interface.as_deref().is_some_and(is_funcs))
}
