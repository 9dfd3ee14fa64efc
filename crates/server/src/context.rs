//! Context of a request: id, peer, route parameters and deadline.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::client::Peer;
use crate::failures::FailureLog;
use crate::tree::RouteMatch;

/// Default header of a request's id, in requests and responses.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of an id from a client.
const LONGEST_ID: usize = 128;

/// Id that links a response to the log of its request: the client's own id if it is valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Takes the id from a header or creates one. A client's id is valid with up to 128 letters, digits and
    /// `-_.:+/=@`, so that it can neither forge nor flood log lines.
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let sane = |text: &&str| {
            (1..=LONGEST_ID).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&b))
        };
        let given = headers.get(name).and_then(|value| value.to_str().ok()).filter(sane);
        given.map_or_else(Self::fresh, |text| Self(text.into()))
    }

    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        /// Distinguishes processes; it has no other purpose.
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{:016x}-{count:08x}", *PROCESS).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header value.
    pub(crate) fn header_value(&self) -> HeaderValue {
        // Ids are ASCII by construction.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Context of a request: id, peer, route parameters and deadline.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) id: RequestId,
    pub(crate) peer: Peer,
    pub(crate) secure: bool,
    pub(crate) route_match: RouteMatch,
    pub(crate) deadline: Option<Instant>,
    pub(crate) read_timeout: Duration,
    pub(crate) failures: FailureLog,
}

impl Context {
    /// The request's id.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// Peer of the connection.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// True if the request arrived over TLS.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Parameters of the route's pattern with their decoded values, in the pattern's order.
    #[must_use]
    pub fn params(&self) -> &[(String, String)] {
        match &self.route_match {
            RouteMatch::Found { params, .. } => params,
            RouteMatch::NotFound | RouteMatch::Undecodable | RouteMatch::WrongMethod { .. } => &[],
        }
    }

    /// Deadline of the response, if its router has a timeout.
    #[must_use]
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.deadline.map(Instant::into_std)
    }

    /// Log of failures, for handlers that may fail after the response has begun.
    #[must_use]
    pub fn failures(&self) -> &FailureLog {
        &self.failures
    }

    /// Limits the request to `deadline`; an earlier deadline stays in force.
    pub(crate) fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |old| old.min(deadline)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &'static str) -> RequestId {
        let headers = HeaderMap::from_iter([(REQUEST_ID.clone(), HeaderValue::from_static(value))]);
        RequestId::of(&headers, &REQUEST_ID)
    }

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        assert_eq!(of("a-B_1.2:3").as_str(), "a-B_1.2:3");
        for bad in ["", "a b", "a\"b", "a\tb"] {
            assert_ne!(of(bad).as_str(), bad);
        }
        let long = HeaderValue::from_str(&"a".repeat(LONGEST_ID + 1));
        let headers = long.map(|value| HeaderMap::from_iter([(REQUEST_ID.clone(), value)]));
        assert!(
            headers.is_ok_and(
                |headers| RequestId::of(&headers, &REQUEST_ID).as_str().len() < LONGEST_ID
            )
        );
    }

    #[test]
    fn made_ids_differ() {
        let none = HeaderMap::new();
        let made = || RequestId::of(&none, &REQUEST_ID);
        assert_ne!(made(), made());
    }
}
