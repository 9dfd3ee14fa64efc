//! Checks of HTTP entries: parents, addresses, routes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;

use crisol_core::{EntryId, suggest};

use super::context::LinkContext;
use crate::field::EntryField;
use crate::kinds::{Kind, KindName};
use crate::parts::{EntryRoutes, Parent, ParentSlot};
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;
use crate::values::{AddressSet, HttpMethod, PathPrefix, RoutePath, RouteShape};

/// Candidates for an omitted router or service.
enum Candidates {
    None,
    One(EntryId),
    Several(Vec<EntryId>),
}

fn candidates(kinds: &HashMap<EntryId, Option<KindName>>, kind: KindName) -> Candidates {
    let mut ids: Vec<&EntryId> =
        kinds.iter().filter(|(_, one)| **one == Some(kind)).map(|(id, _)| id).collect();
    ids.sort();
    match ids.as_slice() {
        [] => Candidates::None,
        [one] => Candidates::One((*one).clone()),
        several => Candidates::Several(several.iter().take(5).map(|id| (*id).clone()).collect()),
    }
}

/// Fills in the router or service of entries that name none.
pub(super) fn parents(
    entries: &mut BTreeMap<EntryId, Entry>,
    kinds: &HashMap<EntryId, Option<KindName>>,
    cx: &mut LinkContext<'_>,
) {
    let services = candidates(kinds, KindName::HttpService);
    let routers = candidates(kinds, KindName::HttpRouter);
    for entry in entries.values_mut() {
        match entry.kind.content_mut().parent_slot() {
            Some(ParentSlot::Service(server)) if server.is_none() => match &services {
                Candidates::None => {}
                Candidates::One(id) => *server = Some(id.clone()),
                Candidates::Several(ids) => {
                    report_ambiguous(&entry.id, &EntryField::Server, ids, cx)
                }
            },
            Some(ParentSlot::Any(parent)) if *parent == Parent::Listen => {
                fill_parent(&entry.id, parent, &routers, &services, cx);
            }
            Some(ParentSlot::Service(_) | ParentSlot::Any(_)) | None => {}
        }
    }
}

fn fill_parent(
    id: &EntryId,
    parent: &mut Parent,
    routers: &Candidates,
    services: &Candidates,
    cx: &mut LinkContext<'_>,
) {
    match (routers, services) {
        (Candidates::One(router), _) => *parent = Parent::Router(router.clone()),
        (Candidates::Several(ids), _) => report_ambiguous(id, &EntryField::Router, ids, cx),
        (Candidates::None, Candidates::One(service)) => *parent = Parent::Service(service.clone()),
        (Candidates::None, Candidates::Several(ids)) => {
            report_ambiguous(id, &EntryField::Server, ids, cx)
        }
        (Candidates::None, Candidates::None) => {}
    }
}

fn report_ambiguous(id: &EntryId, field: &EntryField, ids: &[EntryId], cx: &mut LinkContext<'_>) {
    let (key, kind) = if *field == EntryField::Router {
        ("router", KindName::HttpRouter)
    } else {
        ("server", KindName::HttpService)
    };
    let message = format!("`{id}` must name an `{kind}`: the app has several");
    let example = ids.first().map_or("name", EntryId::as_str);
    let help = format!("add `meta: {{{key}: {example}}}`; the app has {}", suggest::list(ids));
    cx.report(id, field, Report::error(Rule::AMBIGUOUS, message).help(help));
}

/// Resolver of the service and prefix that routes have.
pub(super) struct RouteResolver<'e> {
    entries: &'e BTreeMap<EntryId, Entry>,
    /// True if the app has services, and true if it has routers. A route that must name one of them and does
    /// not has no known location.
    services: bool,
    routers: bool,
}

impl<'e> RouteResolver<'e> {
    pub(super) fn new(
        entries: &'e BTreeMap<EntryId, Entry>,
        kinds: &HashMap<EntryId, Option<KindName>>,
    ) -> Self {
        let any = |kind| kinds.values().any(|one| *one == Some(kind));
        let (services, routers) = (any(KindName::HttpService), any(KindName::HttpRouter));
        Self { entries, services, routers }
    }

    /// Returns the service and the path prefix below it. The inner `None` is `--listen`; the outer
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
        own: &EntryRoutes<'_>,
    ) -> Option<(Option<EntryId>, PathPrefix)> {
        match own.parent {
            Some(parent) => self.of(parent),
            None => Some((Some(entry.id.clone()), PathPrefix::default())),
        }
    }
}

/// Reports services on one address, with both locations. A service on every address (`:80`) conflicts with
/// all others on its port.
pub(super) fn addresses(entries: &BTreeMap<EntryId, Entry>, cx: &mut LinkContext<'_>) {
    let mut ports: HashMap<u16, PortUsers<'_>> = HashMap::new();
    let mut paths: HashMap<&Path, &EntryId> = HashMap::new();
    for entry in entries.values() {
        let Some(addr) = entry.kind.content().listen_addr() else { continue };
        let (first, place, change) = match (addr.tcp(), addr.address_set()) {
            (Some((_, 0)), _) => continue,
            (Some((_, port)), Some(address_set)) => {
                let first = ports.entry(port).or_default().add(address_set, &entry.id);
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
            .related(cx.span(first, &EntryField::Addr), "first here")
            .help(format!("change the {change} of one of the two"));
        cx.report(&entry.id, &EntryField::Addr, report);
    }
}

/// Services on one port.
#[derive(Default)]
struct PortUsers<'e> {
    extents: HashMap<AddressSet, &'e EntryId>,
    first: Option<&'e EntryId>,
    /// First service that conflicts with every IPv4 address.
    first_v4: Option<&'e EntryId>,
}

impl<'e> PortUsers<'e> {
    /// Adds a service. Returns the first earlier service that shares an address with it.
    fn add(&mut self, address_set: AddressSet, id: &'e EntryId) -> Option<&'e EntryId> {
        let is_v6 = matches!(address_set, AddressSet::One(IpAddr::V6(_)));
        let of = |address_set: &AddressSet| self.extents.get(address_set).copied();
        let first = match &address_set {
            AddressSet::Every => self.first,
            AddressSet::EveryV4 => self.first_v4,
            AddressSet::One(IpAddr::V6(_)) => of(&AddressSet::Every).or_else(|| of(&address_set)),
            AddressSet::One(IpAddr::V4(_)) | AddressSet::Name(_) => of(&AddressSet::Every)
                .or_else(|| of(&AddressSet::EveryV4))
                .or_else(|| of(&address_set)),
        };
        self.first.get_or_insert(id);
        if !is_v6 {
            self.first_v4.get_or_insert(id);
        }
        self.extents.entry(address_set).or_insert(id);
        first
    }
}

/// Routes of an entry: service, method and full path of each.
pub(super) type FullRoutes = Vec<(Option<EntryId>, HttpMethod, RoutePath)>;

/// Returns all entries with routes, and their routes.
pub(super) fn entries_with_routes(
    entries: &BTreeMap<EntryId, Entry>,
) -> Vec<(&Entry, EntryRoutes<'_>)> {
    entries.values().filter_map(|entry| Some((entry, entry.kind.content().routes()?))).collect()
}

/// Returns the routes of an entry with full paths; `None` if their location is unknown.
pub(super) fn routes_of(
    resolver: &RouteResolver<'_>,
    entry: &Entry,
    own: &EntryRoutes<'_>,
) -> Option<FullRoutes> {
    let (service, prefix) = resolver.of_routes(entry, own)?;
    let routes = own.routes.iter();
    Some(routes.map(|(method, path)| (service.clone(), *method, path.below(&prefix))).collect())
}

/// Reports routes for the same requests, with both locations.
pub(super) fn routes(
    entries: &BTreeMap<EntryId, Entry>,
    kinds: &HashMap<EntryId, Option<KindName>>,
    cx: &mut LinkContext<'_>,
) {
    let resolver = RouteResolver::new(entries, kinds);
    let all = entries_with_routes(entries);
    let mut seen: HashMap<(Option<EntryId>, HttpMethod, RouteShape), &(&Entry, EntryRoutes<'_>)> =
        HashMap::new();
    for one in &all {
        let (entry, own) = one;
        let mut reported = None;
        for (service, method, path) in routes_of(&resolver, entry, own).into_iter().flatten() {
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
            let what = match (&own.folder, &other.folder) {
                (Some(folder), Some(_)) => {
                    let (_, prefix) = resolver.of_routes(entry, own).unwrap_or_default();
                    format!("serve files below `{}`", folder.below(&prefix))
                }
                _ => format!("answer `{method} {path}`"),
            };
            let message = format!("`{}` and `{}` both {what}", entry.id, first.id);
            let report = Report::error(Rule::ROUTE_CONFLICT, message)
                .related(cx.span(&first.id, &other.field), "first here")
                .help("change the method or the path of one of the two");
            cx.report(&entry.id, &own.field, report);
        }
    }
}
