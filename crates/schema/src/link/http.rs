//! Checks of HTTP entries: parents, addresses, routes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;

use crisol_core::{EntryId, suggest};

use super::scope::Scope;
use crate::kinds::{Kind, KindName};
use crate::parts::{Answers, Parent, Seat};
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;
use crate::values::{Extent, HttpMethod, PathPrefix, RoutePath, RouteShape};

/// Candidates for an omitted router or service.
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
        match entry.kind.content_mut().seat() {
            Some(Seat::Service(server)) if server.is_none() => match &services {
                Only::None => {}
                Only::One(id) => *server = Some(id.clone()),
                Only::Several(ids) => ambiguous(&entry.id, "server", ids, scope),
            },
            Some(Seat::Any(parent)) if *parent == Parent::Listen => {
                fill(&entry.id, parent, &routers, &services, scope);
            }
            Some(Seat::Service(_) | Seat::Any(_)) | None => {}
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

/// Resolver of the service and prefix that routes have.
pub(super) struct Tops<'e> {
    entries: &'e BTreeMap<EntryId, Entry>,
    /// True if the app has services, and true if it has routers. A route that must name one of them and does
    /// not has no known location.
    services: bool,
    routers: bool,
}

impl<'e> Tops<'e> {
    pub(super) fn new(
        entries: &'e BTreeMap<EntryId, Entry>,
        kinds: &HashMap<EntryId, Option<KindName>>,
    ) -> Self {
        let any = |kind| kinds.values().any(|one| *one == Some(kind));
        let (services, routers) = (any(KindName::HttpService), any(KindName::HttpRouter));
        Self { entries, services, routers }
    }

    /// Returns the service and the path prefix below it. The inner `None` stands for `--listen`; the outer
    /// one for an unknown location, such as below an unreadable router.
    fn of(&self, parent: &Parent) -> Option<(Option<EntryId>, PathPrefix)> {
        let (service, prefix) = match parent {
            Parent::Listen if self.routers => return None,
            Parent::Listen => (None, PathPrefix::default()),
            Parent::Service(id) => (Some(id.clone()), PathPrefix::default()),
            Parent::Router(id) => {
                let Kind::HttpRouter(router) = &self.entries.get(id)?.kind else { return None };
                (router.server.clone(), router.prefix.clone())
            }
        };
        (service.is_some() || !self.services).then_some((service, prefix))
    }

    /// Returns the same for the routes of an entry.
    fn of_routes(
        &self,
        entry: &Entry,
        answers: &Answers<'_>,
    ) -> Option<(Option<EntryId>, PathPrefix)> {
        match answers.below {
            Some(parent) => self.of(parent),
            None => Some((Some(entry.id.clone()), PathPrefix::default())),
        }
    }
}

/// Reports services on one address, with both locations. A service on every address (`:80`) conflicts with
/// all others on its port.
pub(super) fn addresses(entries: &BTreeMap<EntryId, Entry>, scope: &mut Scope<'_>) {
    let mut ports: HashMap<u16, Taken<'_>> = HashMap::new();
    let mut paths: HashMap<&Path, &EntryId> = HashMap::new();
    for entry in entries.values() {
        let Some(addr) = entry.kind.content().listens() else { continue };
        let (first, place, change) = match (addr.tcp(), addr.extent()) {
            (Some((_, 0)), _) => continue,
            (Some((_, port)), Some(extent)) => {
                let first = ports.entry(port).or_default().add(extent, &entry.id);
                (first, format!("port {port}"), "port")
            }
            _ => {
                let Some(path) = addr.unix() else { continue };
                let first = *paths.entry(path).or_insert(&entry.id);
                (Some(first).filter(|first| *first != &entry.id), addr.to_string(), "path")
            }
        };
        let Some(first) = first else { continue };
        let message = format!("`{}` and `{first}` both listen on {place}", entry.id);
        let report = Report::error(Rule::CONFLICT, message)
            .also(scope.span(first, "addr"), "first here")
            .help(format!("change the {change} of one of the two"));
        scope.report(&entry.id, "addr", report);
    }
}

/// Services on one port.
#[derive(Default)]
struct Taken<'e> {
    extents: HashMap<Extent, &'e EntryId>,
    first: Option<&'e EntryId>,
    /// First service that conflicts with every IPv4 address.
    first_v4: Option<&'e EntryId>,
}

impl<'e> Taken<'e> {
    /// Adds a service. Returns the first earlier service that shares an address with it.
    fn add(&mut self, extent: Extent, id: &'e EntryId) -> Option<&'e EntryId> {
        let is_v6 = matches!(extent, Extent::One(IpAddr::V6(_)));
        let of = |extent: &Extent| self.extents.get(extent).copied();
        let first = match &extent {
            Extent::Every => self.first,
            Extent::EveryV4 => self.first_v4,
            Extent::One(IpAddr::V6(_)) => of(&Extent::Every).or_else(|| of(&extent)),
            Extent::One(IpAddr::V4(_)) | Extent::Name(_) => {
                of(&Extent::Every).or_else(|| of(&Extent::EveryV4)).or_else(|| of(&extent))
            }
        };
        self.first.get_or_insert(id);
        if !is_v6 {
            self.first_v4.get_or_insert(id);
        }
        self.extents.entry(extent).or_insert(id);
        first
    }
}

/// Routes of an entry: service, method and full path of each.
pub(super) type Routes = Vec<(Option<EntryId>, HttpMethod, RoutePath)>;

/// Returns all entries with routes, and their routes.
pub(super) fn answering(entries: &BTreeMap<EntryId, Entry>) -> Vec<(&Entry, Answers<'_>)> {
    entries.values().filter_map(|entry| Some((entry, entry.kind.content().answers()?))).collect()
}

/// Returns the routes of an entry with full paths; `None` if their location is unknown.
pub(super) fn routes_of(tops: &Tops<'_>, entry: &Entry, answers: &Answers<'_>) -> Option<Routes> {
    let (service, prefix) = tops.of_routes(entry, answers)?;
    let routes = answers.routes.iter();
    Some(routes.map(|(method, path)| (service.clone(), *method, path.below(&prefix))).collect())
}

/// Reports routes for the same requests, with both locations.
pub(super) fn routes(
    entries: &BTreeMap<EntryId, Entry>,
    kinds: &HashMap<EntryId, Option<KindName>>,
    scope: &mut Scope<'_>,
) {
    let tops = Tops::new(entries, kinds);
    let all = answering(entries);
    let mut seen: HashMap<(Option<EntryId>, HttpMethod, RouteShape), &(&Entry, Answers<'_>)> =
        HashMap::new();
    for one in &all {
        let (entry, answers) = one;
        let mut reported = None;
        for (service, method, path) in routes_of(&tops, entry, answers).into_iter().flatten() {
            let key = (service, method, path.shape());
            let Some(found) = seen.get(&key).copied() else {
                seen.insert(key, one);
                continue;
            };
            let (first, other) = found;
            // Static files have two routes, and one report is enough.
            if reported.replace(&first.id) == Some(&first.id) {
                continue;
            }
            let what = match (&answers.folder, &other.folder) {
                (Some(folder), Some(_)) => {
                    let (_, prefix) = tops.of_routes(entry, answers).unwrap_or_default();
                    format!("serve files below `{}`", folder.below(&prefix))
                }
                _ => format!("answer `{method} {path}`"),
            };
            let message = format!("`{}` and `{}` both {what}", entry.id, first.id);
            let report = Report::error(Rule::ROUTE_CONFLICT, message)
                .also(scope.span(&first.id, other.field), "first here")
                .help("change the method or the path of one of the two");
            scope.report(&entry.id, answers.field, report);
        }
    }
}
