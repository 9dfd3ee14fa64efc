//! Cross-origin sharing, as in the Fetch standard.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};

use super::{Cors, MiddlewareError};
use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;
use crate::headers::{insert, vary_by};

/// Header values of the settings, built once.
pub(super) struct CorsHandler {
    /// Empty for any origin.
    origins: Vec<HeaderValue>,
    /// `None` to allow the requested one; the same holds for headers. `*` never covers `Authorization`, and has no
    /// effect with credentials.
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: Option<HeaderValue>,
    inner: Arc<dyn Handler>,
}

impl CorsHandler {
    pub(super) fn new(cors: &Cors, inner: Arc<dyn Handler>) -> Result<Self, MiddlewareError> {
        if cors.credentials && cors.origins.is_empty() {
            return Err(MiddlewareError::CredentialsForAll);
        }
        let origin = |text: &String| {
            let fits = text.contains("://") && !text.ends_with('/');
            let value = HeaderValue::from_str(text).ok().filter(|_| fits);
            value.ok_or_else(|| MiddlewareError::Origin(text.clone()))
        };
        Ok(Self {
            origins: cors.origins.iter().map(origin).collect::<Result<_, _>>()?,
            methods: listed(cors.methods.iter().map(Method::as_str)),
            headers: listed(cors.headers.iter().map(HeaderName::as_str)),
            expose: joined(cors.expose.iter().map(HeaderName::as_str)),
            credentials: cors.credentials,
            max_age: cors.max_age.map(|age| HeaderValue::from(age.as_secs())),
            inner,
        })
    }

    /// Responds to a preflight from `origin`.
    fn preflight(
        &self,
        request: &HeaderMap,
        origin: &HeaderValue,
        method: &Method,
    ) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        for name in ["origin", "access-control-request-method", "access-control-request-headers"] {
            vary_by(headers, name);
        }
        if !self.allow(Some(origin), headers) {
            return response;
        }
        let mirrored = || HeaderValue::from_str(method.as_str()).ok();
        let methods = self.methods.clone().or_else(mirrored);
        let names = self.headers.clone().or_else(|| asked_headers(request));
        insert(headers, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        insert(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        insert(headers, header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        response
    }

    /// Marks a response as readable for the origin, if it is allowed; returns whether it is.
    fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        if self.origins.is_empty() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        }
        vary_by(headers, "origin");
        let Some(origin) = origin.filter(|origin| self.origins.contains(origin)) else {
            return false;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        true
    }
}

#[async_trait]
impl Handler for CorsHandler {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let origin = only(request.headers(), &header::ORIGIN).cloned();
        if let (Some(origin), Some(method)) = (&origin, asked_method(&request)) {
            return self.preflight(request.headers(), origin, &method);
        }
        let mut response = self.inner.handle(context, request).await;
        let headers = response.headers_mut();
        if self.allow(origin.as_ref(), headers) {
            insert(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
        }
        response
    }
}

/// The method that a preflight asks about; `None` for every other request, including `OPTIONS`.
fn asked_method(request: &Request<Body>) -> Option<Method> {
    let asks = *request.method() == Method::OPTIONS;
    let method = only(request.headers(), &header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(method.as_bytes()).ok().filter(|_| asks)
}

/// The headers that a preflight asks about, if any.
fn asked_headers(request: &HeaderMap) -> Option<HeaderValue> {
    let lines = request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let names: Vec<HeaderName> = names.filter_map(|name| name.trim().parse().ok()).collect();
    joined(names.iter().map(HeaderName::as_str))
}

/// The value of a field that occurs exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Joins a list of names; `None` if it is empty or has `*`, which both allow any.
fn listed<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Option<HeaderValue> {
    if names.clone().any(|name| name == "*") { None } else { joined(names) }
}

fn joined<'n>(names: impl Iterator<Item = &'n str>) -> Option<HeaderValue> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return None;
    }
    HeaderValue::try_from(names.join(", ")).ok()
}
