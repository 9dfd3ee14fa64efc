//! Kind `http.router`: a path prefix with middleware.

mod middleware;

use std::collections::HashMap;

use crisol_core::EntryId;
use serde::Serialize;
use serde_json::Value as Json;

pub use middleware::{Cors, Middleware, RateLimit, RateLimitBy};

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, shape};
use crate::parts::{ParentRef, ParentSlot, parent_schema, service_in_meta};
use crate::problems::Report;
use crate::role::Role;
use crate::rule::Rule;
use crate::values::PathPrefix;
use crate::yaml::Node;

/// A path prefix with middleware for all of its requests: `http.router`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpRouter {
    /// Service above it; `None` for the service that `serve --listen` opens.
    #[serde(skip)]
    pub server: Option<EntryId>,
    /// Prefix of its paths.
    pub prefix: PathPrefix,
    /// Middleware for its requests, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub middleware: Vec<Middleware>,
}

/// `http.router`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = HttpRouter;
    type Fields = HttpRouterFields;

    const ROLE: Option<Role> = Some(Role::Router);
    const UNUSED: Option<&'static str> = Some("use it in `meta.router` of an `http.endpoint`");

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<HttpRouter> {
        let server = service_in_meta(body.meta, cx);
        let fields = HttpRouterFields::decode(body.fields, cx);
        let reject_repeated_steps = reject_repeated_steps(body.fields, cx);
        let (server, fields, ()) = (server?, fields?, reject_repeated_steps?);
        let middleware = fields.middleware.unwrap_or_default();
        Some(HttpRouter { server, prefix: fields.prefix.unwrap_or_default(), middleware })
    }

    fn meta_schema() -> Json {
        parent_schema(false)
    }
}

impl KindContent for HttpRouter {
    fn parent(&self) -> Option<ParentRef<'_>> {
        self.server.as_ref().map(ParentRef::Service)
    }

    fn parent_slot(&mut self) -> Option<ParentSlot<'_>> {
        Some(ParentSlot::Service(&mut self.server))
    }
}

impl HttpRouter {
    /// Returns true if the router has the step `cors`.
    pub(crate) fn has_cors(&self) -> bool {
        self.middleware.iter().any(|step| matches!(step, Middleware::Cors(_)))
    }
}

shape! {
    /// A path prefix with middleware for all of its requests. `meta.server` names the `http.service`. It may
    /// be omitted if there is exactly one, or none.
    pub(crate) struct HttpRouterFields {
        /// Prefix of its paths. Default: `/`.
        prefix: Option<PathPrefix>,
        /// Middleware for its requests, outermost first: `cors`, `compress`, `ratelimit`, `request_id`,
        /// `timeout`.
        middleware: Option<Vec<Middleware>>,
    }
}

/// Reports a repeated step, which would apply twice.
fn reject_repeated_steps(node: &Node, cx: &mut DecodeContext<'_>) -> Option<()> {
    let mut all_differ = Some(());
    let mut seen = HashMap::new();
    for (at, step) in node.items("middleware").iter().enumerate() {
        let Some(name) = Middleware::name_in(step) else { continue };
        let Some(&first) = seen.get(name) else {
            seen.insert(name, step.span);
            continue;
        };
        let report = Report::error(Rule::DUPLICATE, format!("duplicate middleware step `{name}`"))
            .related(Some(first), "first here")
            .help("remove one of the two");
        cx.within(&format!("middleware[{at}]"), |cx| cx.report(step.span, report));
        all_differ = None;
    }
    all_differ
}
