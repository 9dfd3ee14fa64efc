//! Imports of code, and what of them an entry is granted.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crisol_core::EntryId;
use crisol_wit::UnknownFunction;

use crate::call_graph::Reached;
use crate::releases::{host_interfaces, is_funcs};

/// The host interfaces that a function may use, by their names without version. What is absent is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    interfaces: BTreeSet<Cow<'static, str>>,
    /// Who host functions of the embedding program are told that they serve.
    pub(crate) entry: Option<EntryId>,
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

/// Whether one of `imports` is `funcs`, and granted.
pub(crate) fn calls_others(imports: &[Import]) -> bool {
    let mut granted = imports.iter().filter(|import| import.granted);
    granted.any(|import| import.interface.as_deref().is_some_and(is_funcs))
}
