//! The tree of services and routers that HTTP requests go down: how an entry stands in it, and what it answers.

use crisol_core::EntryId;
use serde_json::{Value, json};

use crate::decode::{Cx, Decode};
use crate::problems::Report;
use crate::reference::{Ref, Router, Service, Target};
use crate::rule::Rule;
use crate::values::{HttpMethod, RoutePath};
use crate::yaml::Node;

/// What an endpoint or static files are reached through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Parent {
    /// The service that `serve --listen` opens, at `/`.
    Listen,
    /// A service, at `/`.
    Service(EntryId),
    /// A router, below its prefix.
    Router(EntryId),
}

impl Parent {
    /// The entry that it is.
    pub(crate) fn above(&self) -> Option<Above<'_>> {
        match self {
            Self::Listen => None,
            Self::Service(id) => Some(Above::Service(id)),
            Self::Router(id) => Some(Above::Router(id)),
        }
    }
}

/// The entry that another is reached through.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Above<'k> {
    /// An `http.service`.
    Service(&'k EntryId),
    /// An `http.router`.
    Router(&'k EntryId),
}

impl<'k> Above<'k> {
    /// The field of `meta` that names it.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Service(_) => SERVER,
            Self::Router(_) => ROUTER,
        }
    }

    /// Its id.
    pub(crate) fn id(self) -> &'k EntryId {
        match self {
            Self::Service(id) | Self::Router(id) => id,
        }
    }
}

/// Place for what an entry is reached through, which linking fills in where `meta` names none.
#[derive(Debug)]
pub(crate) enum Seat<'k> {
    /// Of a router, which is below services alone.
    Service(&'k mut Option<EntryId>),
    /// Of an entry with routes.
    Any(&'k mut Parent),
}

/// Routes that an entry answers.
#[derive(Debug)]
pub(crate) struct Answers<'k> {
    /// What they are reached through; none for those at the top of the service that has them.
    pub(crate) below: Option<&'k Parent>,
    /// Methods with paths from there.
    pub(crate) routes: Vec<(HttpMethod, RoutePath)>,
    /// The folder of files that the routes serve, if they serve one.
    pub(crate) folder: Option<RoutePath>,
    /// The field that makes the entry answer.
    pub(crate) field: &'static str,
}

/// Field of `meta` that names a service.
const SERVER: &str = "server";

/// Field of `meta` that names a router.
const ROUTER: &str = "router";

/// A reference in `meta`, which is free otherwise. The outer `None` means that it is wrong.
fn named<T: Target>(meta: Option<&Node>, name: &str, cx: &mut Cx<'_>) -> Option<Option<EntryId>> {
    match meta.and_then(|meta| meta.get(name)) {
        None => Some(None),
        Some(node) if node.is_null() => Some(None),
        Some(node) => {
            let read = cx.within(&format!("meta.{name}"), |cx| Ref::<T>::decode(node, cx));
            read.map(|reference| Some(reference.id))
        }
    }
}

/// The router or service that `meta` names; both is one too many.
pub(crate) fn parent_in(meta: Option<&Node>, cx: &mut Cx<'_>) -> Option<Parent> {
    let router = named::<Router>(meta, ROUTER, cx);
    let server = service_in(meta, cx);
    if let Some(meta) = meta.filter(|meta| meta.has(ROUTER) && meta.has(SERVER)) {
        let message = "`meta` names a router and a server";
        let report = Report::error(Rule::CONFLICT, message)
            .also(Some(meta.place_of(ROUTER)), "the router")
            .help("remove `meta.server`: the router has one of its own");
        cx.within("meta.server", |cx| cx.report(meta.place_of(SERVER), report));
        return None;
    }
    Some(match (router?, server?) {
        (Some(router), _) => Parent::Router(router),
        (None, Some(server)) => Parent::Service(server),
        (None, None) => Parent::Listen,
    })
}

/// The service that `meta` names. The outer `None` means that it is wrong.
pub(crate) fn service_in(meta: Option<&Node>, cx: &mut Cx<'_>) -> Option<Option<EntryId>> {
    named::<Service>(meta, SERVER, cx)
}

/// The JSON Schema of `meta`, with what a reference to a service or, where one may stand, to a router is.
pub(crate) fn meta_schema(has_router: bool) -> Value {
    let server = json!({"description": "The `http.service`.", "type": ["string", "null"]});
    let router = json!({"description": "The `http.router`.", "type": ["string", "null"]});
    match has_router {
        true => json!({"properties": {ROUTER: router, SERVER: server}}),
        false => json!({"properties": {SERVER: server}}),
    }
}
