//! Kind `http.endpoint`: a function as an HTTP resource.

use crisol_core::EntryId;
use serde::Serialize;
use serde_json::Value as Json;

use super::slice::{Body, Content, Slice};
use crate::decode::{Cx, Decode, shape};
use crate::parts::{Above, Answers, Parent, Seat, parent_in, parent_schema};
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
pub(super) enum This {}

impl Slice for This {
    type Value = HttpEndpoint;
    type Fields = HttpEndpointFields;

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<HttpEndpoint> {
        let parent = parent_in(body.meta, cx);
        let fields = HttpEndpointFields::decode(body.fields, cx);
        let (parent, fields) = (parent?, fields?);
        let method = fields.method.unwrap_or(HttpMethod::Get);
        Some(HttpEndpoint { parent, method, path: fields.path, func: fields.func.id })
    }

    fn meta_schema() -> Json {
        parent_schema(true)
    }
}

impl Content for HttpEndpoint {
    fn above(&self) -> Option<Above<'_>> {
        self.parent.above()
    }

    fn seat(&mut self) -> Option<Seat<'_>> {
        Some(Seat::Any(&mut self.parent))
    }

    fn answers(&self) -> Option<Answers<'_>> {
        let routes = vec![(self.method, self.path.clone())];
        Some(Answers { below: Some(&self.parent), routes, folder: None, field: "path" })
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
