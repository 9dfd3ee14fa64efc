//! Result of loading a registry: callables, commands, handlers and routes, by entry id.

use std::collections::HashMap;
#[cfg(feature = "http")]
use std::sync::Arc;

use crisol_core::EntryId;
use foldhash::fast::RandomState;

use super::resources::HostResources;
use crate::call::{Callable, Command, Interceptors, Linkage};
#[cfg(feature = "http")]
use crate::web::{HttpHandler, Site};

/// Everything that loading a registry produces.
#[derive(Default)]
pub(crate) struct Assembled {
    /// Callable functions, by id.
    pub(crate) functions: HashMap<EntryId, Callable, RandomState>,
    /// Commands, in the order of ids.
    pub(crate) commands: Vec<Command>,
    /// Interceptors around calls, by function.
    pub(crate) interceptors: Interceptors,
    /// Folders and variables that guests can be given.
    pub(crate) resources: HostResources,
    /// Services and routes.
    #[cfg(feature = "http")]
    pub(crate) site: Site,
    /// HTTP handlers: guests that answer requests themselves and cannot be called as functions.
    #[cfg(feature = "http")]
    pub(crate) handlers: HashMap<EntryId, Arc<HttpHandler>>,
}

impl Assembled {
    /// Returns the imports of an entry's guest and which of them its method may call; none without a guest.
    pub(crate) fn linkage(&self, id: &EntryId) -> Option<Linkage<'_>> {
        #[cfg(feature = "http")]
        if let Some(handler) = self.handlers.get(id) {
            return Some(handler.guest.workers().0.linkage());
        }
        if let Some(Callable::Wasm(function)) = self.functions.get(id) {
            return Some(function.guest.workers().0.linkage());
        }
        let command = self.commands.binary_search_by(|command| command.id().cmp(id)).ok();
        command.map(|at| self.commands[at].linkage())
    }
}
