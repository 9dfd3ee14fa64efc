//! Everything that a registry comes to, by the ids of its entries.

use std::collections::HashMap;
#[cfg(feature = "http")]
use std::sync::Arc;

use crisol_core::EntryId;
use foldhash::fast::RandomState;

use super::resources::HostResources;
use crate::call::{Callable, Command, Interceptors, Linkage};
#[cfg(feature = "http")]
use crate::http::{HttpHandler, Site};

/// Everything that the entries of a registry come to.
#[derive(Default)]
pub(crate) struct Assembled {
    /// Callees, by id.
    pub(crate) functions: HashMap<EntryId, Callable, RandomState>,
    /// Commands, in the order of ids.
    pub(crate) commands: Vec<Command>,
    /// Policies around calls.
    pub(crate) interceptors: Interceptors,
    /// The outside as guests see it.
    pub(crate) resources: HostResources,
    /// Services and routes.
    #[cfg(feature = "http")]
    pub(crate) site: Site,
    /// Guests that answer HTTP themselves and cannot be called.
    #[cfg(feature = "http")]
    pub(crate) handlers: HashMap<EntryId, Arc<HttpHandler>>,
}

impl Assembled {
    /// Imports of an entry's guest, with those that its method may call.
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
