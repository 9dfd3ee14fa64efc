//! Components that handle HTTP requests: `wasi:http/incoming-handler` of WASI 0.2, `wasi:http/handler` of
//! WASI 0.3.
//!
//! The guest runs inside one future: the server polls it until there is a response, and continues while the
//! response's body is read. No task is spawned for it.

mod body;
mod handler;
mod incoming_handler;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crisol_core::BoxError;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError};
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error as HttpError;

use crate::compile::Compiled;
use crate::engine::Engine;
use crate::exports::{ExportName, Exports};
use crate::failure::Failure;
use crate::host::InstanceContext;
use crate::imports::{Grants, Import, calls_others};
use crate::instance::{self, Instance};
use crate::limits::Limits;
use crate::link::{self, CalleeName, ShardedCallee};
use crate::link_error::LinkError;
use crate::placement::Placement;
use crate::poll_timer::until;
use crate::pre_cache::SharedPre;

pub use body::ProxyBody;

/// Prefixes of the handler interfaces, up to the compatible part of their versions, and the one function of
/// each.
const INTERFACES: [&str; 2] = ["wasi:http/incoming-handler@0.2.", "wasi:http/handler@0.3."];
const FUNCTION: &str = "handle";

/// Interfaces that read a request and write a response, granted to every handler.
const NEEDED: [&str; 4] = ["wasi:http/types", "wasi:io/error", "wasi:io/poll", "wasi:io/streams"];

/// Answer of a guest: a response, whose body it may still be producing, or an error.
pub type ProxyAnswer = Result<http::Response<ProxyBody>, ProxyError>;

/// The guest answered with an error instead of a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest answered with the error {0}")]
pub struct ProxyError(String);

impl ProxyError {
    fn new(code: impl fmt::Debug) -> Self {
        Self(format!("{code:?}"))
    }
}

/// A linked HTTP handler component. Cloning increments a reference count.
#[derive(Clone)]
pub struct ProxyPre(Arc<Inner>);

struct Inner {
    shared: Arc<SharedPre>,
    callee: ShardedCallee,
    place: ExportName,
    /// Keeps the code in the engine's cache.
    code: Compiled,
}

impl Engine {
    /// Returns true if `method` names the HTTP handler of a component: the interface, or its function.
    ///
    /// # Errors
    /// Fails when an engine for this kind of component cannot be set up.
    pub fn is_proxy(&self, compiled: &Compiled, method: &str) -> Result<bool, crate::EngineError> {
        let variant = self.variants().first(compiled.0.key)?;
        let Some(component) = compiled.0.component() else { return Ok(false) };
        Ok(handler(method, &Exports::of(&variant.engine, component)).is_some())
    }

    /// Links an HTTP handler component with the host functions that `grants` lists, and with those for
    /// requests and responses.
    ///
    /// # Errors
    /// Fails when `method` does not name its HTTP handler, or an import cannot be linked.
    pub fn link_proxy(
        &self,
        compiled: &Compiled,
        grants: &Grants,
        method: &str,
    ) -> Result<ProxyPre, LinkError> {
        let variant = self.variants().first(compiled.0.key)?;
        let Some(component) = compiled.0.component() else {
            return Err(LinkError::Mismatch(wasmtime::Error::msg(
                "expected a component, found a core module",
            )));
        };
        let exports = Exports::of(&variant.engine, component);
        let place = match handler(method, &exports) {
            Some(place) => place,
            None => exports.find(method)?,
        };
        let grants = grants.clone().with(NEEDED.iter().map(|name| (*name).into()));
        let shared = link::shared_pre(self.variants(), compiled, &grants)?;
        let (place, code) = (place.clone(), compiled.clone());
        let name = CalleeName::Component(place.clone());
        let callee = ShardedCallee::new(name, &compiled.0.program, None)?;
        Ok(ProxyPre(Arc::new(Inner { shared, callee, place, code })))
    }
}

/// The HTTP handler among the exports, if `method` names it.
fn handler<'a>(method: &str, exports: &'a Exports) -> Option<&'a ExportName> {
    let is_handler = |place: &&ExportName| {
        let interface = place.interface.as_deref().unwrap_or_default();
        let serves = INTERFACES.iter().any(|served| interface.starts_with(served));
        serves && place.name == FUNCTION
    };
    let plain = exports.place(method);
    let found = plain.or_else(|| exports.place(&format!("{method}#{FUNCTION}")));
    found.filter(is_handler)
}

impl ProxyPre {
    /// All imports of the component, whether it calls them or not.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.0.shared.imports
    }

    /// The exported handler function.
    #[must_use]
    pub fn export(&self) -> (Option<&str>, &str) {
        (self.0.place.interface.as_deref(), &self.0.place.name)
    }

    /// The compiled code of the component.
    #[must_use]
    pub fn code(&self) -> &Compiled {
        &self.0.code
    }

    /// Returns true if it may call other functions: it imports `funcs`, and `funcs` is granted.
    #[must_use]
    pub fn calls_others(&self) -> bool {
        calls_others(&self.0.shared.imports)
    }

    /// Creates an instance, like [`FunctionPre::instantiate`](crate::FunctionPre::instantiate).
    ///
    /// # Errors
    /// Fails like [`FunctionPre::instantiate`](crate::FunctionPre::instantiate).
    pub fn instantiate(
        &self,
        context: impl Into<InstanceContext>,
        limits: Limits,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Instance, Failure>> + Send {
        let placement = Placement::choose(&self.0.shared, &self.0.callee);
        let store = instance::store(placement.shard, context, limits, deadline);
        instance::make(store, placement, false, deadline)
    }
}

impl fmt::Debug for ProxyPre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyPre").finish_non_exhaustive()
    }
}

impl Instance {
    /// Handles one request on an instance from [`ProxyPre::instantiate`]. Sends the response through `answer`
    /// as soon as the guest sets it. The future completes with the guest, and must be polled while the response
    /// body is read, since polling it produces the body.
    ///
    /// # Errors
    /// Fails when the guest traps, exits, calls a function that it was not granted, exceeds a limit, or is not
    /// done by `deadline`.
    pub async fn handle<B>(
        &mut self,
        secure: bool,
        request: http::Request<B>,
        answer: oneshot::Sender<ProxyAnswer>,
        deadline: Option<Instant>,
    ) -> Result<(), Failure>
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        self.begin(deadline)?;
        let request = request.map(|body| body.map_err(body_error));
        let Some(func) = self.callee.component() else {
            return Err(Failure::Host(wasmtime::Error::msg("a core module has no HTTP handler")));
        };
        let store = &mut self.store;
        // Only the handler of 0.3 is asynchronous.
        let (handled, timer) = if func.ty(&*store).async_() {
            let running = pin!(handler::run(func, store, secure, request, answer));
            until(deadline, running).await
        } else {
            let running = pin!(incoming_handler::run(func, store, secure, request, answer));
            until(deadline, running).await
        };
        instance::ended(handled, &self.store, timer)?;
        self.end();
        Ok(())
    }
}

/// The guest's error for a request body that broke off.
fn body_error(error: BoxError) -> HttpError {
    if error.is::<LengthLimitError>() {
        HttpError::HttpRequestBodySize(None)
    } else {
        HttpError::ConnectionTerminated
    }
}
