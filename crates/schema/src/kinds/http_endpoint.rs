//! Kind `http.endpoint`: a function as an HTTP resource.

use crisol_core::EntryId;
use serde::Serialize;
use serde_json::Value as Json;

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, shape};
use crate::field::EntryField;
use crate::parts::{EntryRoutes, Parent, ParentRef, ParentSlot, parent_in_meta, parent_schema};
use crate::reference::{Function, Ref};
use crate::values::{HttpMethod, RoutePath};

/// A function as an HTTP resource: `http.endpoint`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpEndpoint {
    /// Service or router above it.
    #[serde(skip)]
    pub parent: Parent,
    /// Request method.
    pub method: HttpMethod,
    /// Path below the router's prefix.
    pub path: RoutePath,
    /// Function that handles requests.
    pub func: EntryId,
}

/// `http.endpoint`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = HttpEndpoint;
    type Fields = HttpEndpointFields;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<HttpEndpoint> {
        let parent = parent_in_meta(body.meta, cx);
        let fields = HttpEndpointFields::decode(body.fields, cx);
        let (parent, fields) = (parent?, fields?);
        let method = fields.method.unwrap_or(HttpMethod::Get);
        Some(HttpEndpoint { parent, method, path: fields.path, func: fields.func.id })
    }

    fn meta_schema() -> Json {
        parent_schema(true)
    }
}

impl KindContent for HttpEndpoint {
    fn parent(&self) -> Option<ParentRef<'_>> {
        self.parent.entry()
    }

    fn parent_slot(&mut self) -> Option<ParentSlot<'_>> {
        Some(ParentSlot::Any(&mut self.parent))
    }

    fn routes(&self) -> Option<EntryRoutes<'_>> {
        let routes = vec![(self.method, self.path.clone())];
        Some(EntryRoutes {
            parent: Some(&self.parent),
            routes,
            folder: None,
            field: EntryField::Path,
        })
    }
}

shape! {
    /// A function as an HTTP resource. `meta.router` names the `http.router`, or `meta.server` the
    /// `http.service`. Either may be omitted if there is exactly one, or none.
    pub(crate) struct HttpEndpointFields {
        /// Request method, or `ANY`. Default: `GET`.
        method: Option<HttpMethod>,
        /// Path of the resource: `{id}` matches any one segment, `{rest...}` the rest of the path.
        path: RoutePath,
        /// Function that handles requests.
        func: Ref<Function>,
    }
}
