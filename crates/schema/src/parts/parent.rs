//! Tree of services and routers that HTTP requests pass through: the parent of an entry, and its routes.

use crisol_core::EntryId;
use serde_json::{Value, json};

use crate::decode::{Decode, DecodeContext};
use crate::field::EntryField;
use crate::problems::Report;
use crate::reference::{Ref, RoleType, Router, Service};
use crate::rule::Rule;
use crate::values::{HttpMethod, RoutePath};
use crate::yaml::Node;

/// Parent of an endpoint or static files.
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
    /// Returns the parent entry; `None` for `serve --listen`.
    pub(crate) fn entry(&self) -> Option<ParentRef<'_>> {
        match self {
            Self::Listen => None,
            Self::Service(id) => Some(ParentRef::Service(id)),
            Self::Router(id) => Some(ParentRef::Router(id)),
        }
    }
}

/// Parent entry of another entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ParentRef<'k> {
    /// An `http.service`.
    Service(&'k EntryId),
    /// An `http.router`.
    Router(&'k EntryId),
}

impl<'k> ParentRef<'k> {
    /// Returns the key of `meta` that names the parent.
    pub(crate) fn meta_key(self) -> &'static str {
        match self {
            Self::Service(_) => SERVER,
            Self::Router(_) => ROUTER,
        }
    }

    /// Returns the id of the parent.
    pub(crate) fn id(self) -> &'k EntryId {
        match self {
            Self::Service(id) | Self::Router(id) => id,
        }
    }
}

/// Slot of an entry's parent. Linking fills it in if `meta` names none.
#[derive(Debug)]
pub(crate) enum ParentSlot<'k> {
    /// Slot of a router, whose parent is always a service.
    Service(&'k mut Option<EntryId>),
    /// Slot of an entry with routes.
    Any(&'k mut Parent),
}

/// Routes of an entry.
#[derive(Debug)]
pub(crate) struct EntryRoutes<'k> {
    /// Parent of the routes; `None` for routes at the top of their own service.
    pub(crate) parent: Option<&'k Parent>,
    /// Methods and paths, relative to the parent.
    pub(crate) routes: Vec<(HttpMethod, RoutePath)>,
    /// Path of the folder, for routes that serve files.
    pub(crate) folder: Option<RoutePath>,
    /// Field that declares the routes.
    pub(crate) field: EntryField,
}

/// Field of `meta` that names a service.
const SERVER: &str = "server";

/// Field of `meta` that names a router.
const ROUTER: &str = "router";

/// Reads a reference in `meta`. The outer `None` means that a problem was reported.
fn named<T: RoleType>(
    meta: Option<&Node>,
    name: &str,
    cx: &mut DecodeContext<'_>,
) -> Option<Option<EntryId>> {
    match meta.and_then(|meta| meta.get(name)) {
        None => Some(None),
        Some(node) if node.is_null() => Some(None),
        Some(node) => {
            let read = cx.within(&format!("meta.{name}"), |cx| Ref::<T>::decode(node, cx));
            read.map(|reference| Some(reference.id))
        }
    }
}

/// Reads the router or service that `meta` names. Both together are an error.
pub(crate) fn parent_in_meta(meta: Option<&Node>, cx: &mut DecodeContext<'_>) -> Option<Parent> {
    let router = named::<Router>(meta, ROUTER, cx);
    let server = service_in_meta(meta, cx);
    if let Some(meta) = meta.filter(|meta| meta.has(ROUTER) && meta.has(SERVER)) {
        let message = "`meta` names a router and a server";
        let report = Report::error(Rule::CONFLICT, message)
            .related(Some(meta.span_of(ROUTER)), "the router")
            .help("remove `meta.server`: the router already has a service");
        cx.within("meta.server", |cx| cx.report(meta.span_of(SERVER), report));
        return None;
    }
    Some(match (router?, server?) {
        (Some(router), _) => Parent::Router(router),
        (None, Some(server)) => Parent::Service(server),
        (None, None) => Parent::Listen,
    })
}

/// Reads the service that `meta` names. The outer `None` means that a problem was reported.
pub(crate) fn service_in_meta(
    meta: Option<&Node>,
    cx: &mut DecodeContext<'_>,
) -> Option<Option<EntryId>> {
    named::<Service>(meta, SERVER, cx)
}

/// Returns the JSON Schema of `meta`: a reference to a service and, with `has_router`, one to a router.
pub(crate) fn meta_schema(has_router: bool) -> Value {
    let server = json!({"description": "The parent `http.service`.", "type": ["string", "null"]});
    let router = json!({"description": "The parent `http.router`.", "type": ["string", "null"]});
    match has_router {
        true => json!({"properties": {ROUTER: router, SERVER: server}}),
        false => json!({"properties": {SERVER: server}}),
    }
}
