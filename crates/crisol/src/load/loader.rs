//! Loader of registries that knows the engine's interfaces.

use crisol_schema::{Imports, Loader};

/// Creates a loader that knows each interface of the engine, also those of packages without a token of their own.
pub(crate) fn loader() -> Loader {
    let has_token = |interface: &str| Imports::token_for(interface).is_some();
    let others = crisol_engine::built_in_interfaces().filter(|interface| !has_token(interface));
    others.fold(Loader::default(), |loader, interface| loader.host_interface(&interface))
}
