//! Routers, services and the routes below them.

use std::collections::{BTreeMap, HashMap};

use crisol_core::EntryId;

use super::Scope;
use crate::kind::KindName;
use crate::kinds::{Kind, Parent};
use crate::problems::{Report, Rule};
use crate::registry::Entry;
use crate::suggest;
use crate::values::{HttpMethod, PathPrefix, RoutePath};

/// The one entry that can be meant when none is named.
enum Only {
    None,
    One(EntryId),
    Several(Vec<EntryId>),
}

fn only(kinds: &HashMap<EntryId, Option<KindName>>, kind: KindName) -> Only {
    let mut ids: Vec<&EntryId> =
        kinds.iter().filter(|(_, one)| **one == Some(kind)).map(|(id, _)| id).collect();
    ids.sort();
    match ids.as_slice() {
        [] => Only::None,
        [one] => Only::One((*one).clone()),
        several => Only::Several(several.iter().take(5).map(|id| (*id).clone()).collect()),
    }
}

/// Fills in the router or service of entries that name none.
pub(super) fn parents(
    entries: &mut BTreeMap<EntryId, Entry>,
    kinds: &HashMap<EntryId, Option<KindName>>,
    scope: &mut Scope<'_>,
) {
    let services = only(kinds, KindName::HttpService);
    let routers = only(kinds, KindName::HttpRouter);
    for entry in entries.values_mut() {
        match &mut entry.kind {
            Kind::HttpRouter(router) if router.server.is_none() => match &services {
                Only::None => {}
                Only::One(id) => router.server = Some(id.clone()),
                Only::Several(ids) => ambiguous(&entry.id, "server", ids, scope),
            },
            Kind::HttpEndpoint(endpoint) if endpoint.parent == Parent::Listen => {
                fill(&entry.id, &mut endpoint.parent, &routers, &services, scope);
            }
            Kind::HttpStatic(files) if files.parent == Parent::Listen => {
                fill(&entry.id, &mut files.parent, &routers, &services, scope);
            }
            _ => {}
        }
    }
}

fn fill(id: &EntryId, parent: &mut Parent, routers: &Only, services: &Only, scope: &mut Scope<'_>) {
    match (routers, services) {
        (Only::One(router), _) => *parent = Parent::Router(router.clone()),
        (Only::Several(ids), _) => ambiguous(id, "router", ids, scope),
        (Only::None, Only::One(service)) => *parent = Parent::Service(service.clone()),
        (Only::None, Only::Several(ids)) => ambiguous(id, "server", ids, scope),
        (Only::None, Only::None) => {}
    }
}

fn ambiguous(id: &EntryId, field: &str, ids: &[EntryId], scope: &mut Scope<'_>) {
    let what = if field == "router" { "`http.router`" } else { "`http.service`" };
    let message = format!("`{id}` names no {what}, and there are several");
    let example = ids.first().map_or("name", EntryId::as_str);
    let help = format!("add `meta: {{{field}: {example}}}`; there are {}", suggest::list(ids));
    scope.report(id, &format!("meta.{field}"), Report::error(Rule::AMBIGUOUS, message).help(help));
}

/// Where a route is answered: the service (none is `--listen`) and the path from its top.
fn top(entries: &BTreeMap<EntryId, Entry>, parent: &Parent) -> (Option<EntryId>, PathPrefix) {
    match parent {
        Parent::Listen => (None, PathPrefix::default()),
        Parent::Service(id) => (Some(id.clone()), PathPrefix::default()),
        Parent::Router(id) => match entries.get(id).map(|entry| &entry.kind) {
            Some(Kind::HttpRouter(router)) => (router.server.clone(), router.prefix.clone()),
            _ => (None, PathPrefix::default()),
        },
    }
}

/// Reports services that listen on one address, both places. Every address (`:80`) takes in each of them.
pub(super) fn addresses(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let every = |host: &str| matches!(host, "" | "0.0.0.0" | "::");
    // By port: the first service of each host, and the first on every address.
    let mut seen: HashMap<u16, (HashMap<&str, &EntryId>, Option<&EntryId>)> = HashMap::new();
    for entry in entries.values() {
        let Kind::HttpService(service) = &entry.kind else { continue };
        let (host, port) = (service.addr.host(), service.addr.port());
        if port == 0 {
            continue;
        }
        let (hosts, all) = seen.entry(port).or_default();
        let first = match (all.as_ref(), every(host)) {
            (Some(first), _) => Some(*first),
            (None, true) => hosts.values().min().copied(),
            (None, false) => hosts.get(host).copied(),
        };
        if every(host) {
            all.get_or_insert(&entry.id);
        }
        hosts.entry(host).or_insert(&entry.id);
        let Some(first) = first else { continue };
        let message = format!("`{}` and `{first}` both listen on port {port}", entry.id);
        let report = Report::error(Rule::CONFLICT, message)
            .also(scope.span(first, "addr"), "first here")
            .help("change the port of one of the two");
        scope.report(&entry.id, "addr", report);
    }
}

/// Reports routes that answer the same requests, both places.
pub(super) fn routes(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let mut seen: HashMap<(Option<EntryId>, Option<HttpMethod>, String), &EntryId> = HashMap::new();
    for entry in entries.values() {
        let (service, method, path) = match &entry.kind {
            Kind::HttpEndpoint(endpoint) => {
                let (service, prefix) = top(entries, &endpoint.parent);
                (service, Some(endpoint.method), endpoint.path.below(&prefix))
            }
            Kind::HttpStatic(files) => {
                let (service, prefix) = top(entries, &files.parent);
                let Ok(own) = files.path.as_str().parse::<RoutePath>() else { continue };
                (service, None, own.below(&prefix))
            }
            _ => continue,
        };
        let key = (service, method, path.shape());
        let Some(first) = seen.get(&key).copied() else {
            seen.insert(key, &entry.id);
            continue;
        };
        let what = match method {
            Some(method) => format!("answer `{method} {path}`"),
            None => format!("serve files below `{path}`"),
        };
        let message = format!("`{}` and `{first}` both {what}", entry.id);
        let report = Report::error(Rule::ROUTE_CONFLICT, message)
            .also(scope.span(first, "path"), "first here")
            .help("change the method or the path of one of the two");
        scope.report(&entry.id, "path", report);
    }
}
