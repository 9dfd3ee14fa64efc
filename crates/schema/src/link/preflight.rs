//! Warns about preflights that never reach the `cors` step of their route's router.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use crisol_core::EntryId;

use super::context::LinkContext;
use super::http::{RouteResolver, entries_with_routes, routes_of};
use crate::field::EntryField;
use crate::kinds::{Kind, KindName};
use crate::parts::ParentRef;
use crate::problems::Report;
use crate::registry::Entry;
use crate::rule::Rule;
use crate::values::{HttpMethod, RouteShape};

/// Maximum number of route pairs compared in one app: a fraction of a second.
const COMPARISONS: usize = 200_000;

/// A route, for this check.
struct Route<'e> {
    entry: &'e Entry,
    service: Option<EntryId>,
    method: HttpMethod,
    shape: RouteShape,
    /// Router with `cors` above the route, if there is one.
    cors: Option<&'e EntryId>,
}

impl Route<'_> {
    fn takes_options(&self) -> bool {
        matches!(self.method, HttpMethod::Any | HttpMethod::Options)
    }
}

/// Warns about routes without `cors` that answer `OPTIONS` for paths of routes with it.
pub(super) fn warn(
    entries: &BTreeMap<EntryId, Entry>,
    kinds: &HashMap<EntryId, Option<KindName>>,
    cx: &mut LinkContext<'_>,
) {
    let routers: HashSet<&EntryId> =
        entries.values().filter(|entry| has_cors(entry)).map(|entry| &entry.id).collect();
    if routers.is_empty() {
        return;
    }
    let routes = routes(entries, kinds, &routers);
    let (behind, open): (Vec<_>, Vec<_>) = routes.iter().partition(|route| route.cors.is_some());
    let takers: Vec<_> = open.into_iter().filter(|route| route.takes_options()).collect();
    let (own, named): (Vec<_>, Vec<_>) =
        behind.into_iter().partition(|route| route.takes_options());
    let (mut reported, mut left) = (HashSet::new(), COMPARISONS);
    for (route, taker) in named.iter().flat_map(|route| takers.iter().map(move |one| (route, one)))
    {
        let Some(router) = route.cors else { continue };
        if left == 0 {
            break;
        }
        left -= 1;
        let pair = (router, &taker.entry.id);
        if reported.contains(&pair) || !hides(taker, route) {
            continue;
        }
        left = left.saturating_sub(own.len());
        if !own.iter().any(|own| answers_first(own, taker, route)) {
            reported.insert(pair);
            report(taker, route, router, cx);
        }
    }
}

fn report(taker: &Route<'_>, route: &Route<'_>, router: &EntryId, cx: &mut LinkContext<'_>) {
    let (id, own) = (&taker.entry.id, &route.entry.id);
    let message = format!(
        "`{id}` answers the preflights of `{own}`, so `cors` of `{router}` never gets them"
    );
    let instead = if taker.method == HttpMethod::Options {
        format!("remove `{id}`")
    } else {
        format!("set the one `method` that `{id}` needs")
    };
    let report = Report::warning(Rule::PREFLIGHT, message)
        .related(cx.span(own, &EntryField::Path), "the preflights are for this route")
        .help(format!("add `cors` to the router of `{id}`, or {instead}"));
    cx.report(id, &EntryField::Path, report);
}

fn routes<'e>(
    entries: &'e BTreeMap<EntryId, Entry>,
    kinds: &HashMap<EntryId, Option<KindName>>,
    routers: &HashSet<&EntryId>,
) -> Vec<Route<'e>> {
    let resolver = RouteResolver::new(entries, kinds);
    let mut routes = Vec::new();
    for (entry, own) in entries_with_routes(entries) {
        let cors = router(&entry.kind).filter(|id| routers.contains(id));
        for (service, method, path) in routes_of(&resolver, entry, &own).into_iter().flatten() {
            routes.push(Route { entry, service, method, shape: path.shape(), cors });
        }
    }
    routes
}

fn router(kind: &Kind) -> Option<&EntryId> {
    match kind.content().parent()? {
        ParentRef::Router(id) => Some(id),
        ParentRef::Service(_) => None,
    }
}

fn has_cors(entry: &Entry) -> bool {
    matches!(&entry.kind, Kind::HttpRouter(router) if router.has_cors())
}

/// Returns true if `own`, a route behind `cors`, takes the preflights of `route` before `taker` does.
fn answers_first(own: &Route<'_>, taker: &Route<'_>, route: &Route<'_>) -> bool {
    own.service == route.service
        && own.shape.covers(&route.shape)
        && own.shape.compare(&taker.shape) == Ordering::Less
}

/// Returns true if `taker` answers `OPTIONS` for a path on which `route` answers another method.
fn hides(taker: &Route<'_>, route: &Route<'_>) -> bool {
    // A more specific route for any method takes all requests of the path.
    let reached = || route.shape.compare(&taker.shape) != Ordering::Greater;
    taker.service == route.service
        && taker.shape.overlaps(&route.shape)
        && (taker.method == HttpMethod::Options || reached())
}
