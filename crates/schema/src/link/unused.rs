//! Entries that nothing uses. Functions and processes are called from outside: they are none of these.

use std::collections::{BTreeMap, HashSet};

use crisol_core::EntryId;

use super::scope::Scope;
use crate::kinds::{HttpEndpoint, HttpRouter, HttpStatic, Kind, Parent};
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;

/// What linking filled in, which no reference shows.
fn filled_in(kind: &Kind) -> Option<&EntryId> {
    match kind {
        Kind::HttpRouter(HttpRouter { server, .. }) => server.as_ref(),
        Kind::HttpEndpoint(HttpEndpoint { parent, .. })
        | Kind::HttpStatic(HttpStatic { parent, .. }) => match parent {
            Parent::Service(id) | Parent::Router(id) => Some(id),
            Parent::Listen => None,
        },
        _ => None,
    }
}

/// What would use an entry of this kind.
fn user(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Directory(_) => Some("name it in `fs` of a function, a mount or an `http.static`"),
        Kind::EnvStorage(_) => Some("name it in `storage` of an `env.variable`"),
        Kind::EnvVariable(_) => Some("name it in `wasi.env` of a function or in `tls`"),
        Kind::HttpRouter(_) => Some("name it in `meta.router` of an `http.endpoint`"),
        Kind::HttpService(_) => Some("name it in `meta.server` of an `http.router`"),
        _ => None,
    }
}

pub(super) fn warn(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let mut used: HashSet<&EntryId> = scope.links.iter().map(|link| &link.to).collect();
    used.extend(entries.values().filter_map(|entry| filled_in(&entry.kind)));
    for entry in entries.values().filter(|entry| !used.contains(&entry.id)) {
        let Some(help) = user(&entry.kind) else { continue };
        let message = format!("nothing uses `{}`", entry.id);
        let report = Report::warning(Rule::UNUSED, message).help(format!("{help}, or remove it"));
        let span = scope.name_span(&entry.id);
        scope.sink.push(span, Some(entry.id.clone()), None, report);
    }
}
