//! What is known of a request beside the request.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::client::Peer;
use crate::failures::FailureLog;
use crate::tree::Outcome;

/// The header that a request's id comes and goes in, unless its router says otherwise.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may choose.
const LONGEST_ID: usize = 128;

/// Joins a response with the log of its request: the client's own id if it sent a sane one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id that a header holds, or a new one: a client's is taken when it is up to 128 letters,
    /// digits or any of `-_.:+/=@`, so that it can neither forge a line of the log nor fill it.
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
        /// Tells processes apart, nothing more.
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{:016x}-{count:08x}", *PROCESS).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as a header's value.
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

/// What is known of a request beside the request.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) id: RequestId,
    pub(crate) peer: Peer,
    pub(crate) secure: bool,
    pub(crate) outcome: Outcome,
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

    /// Other end of the connection.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Whether the request came over TLS.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The parameters of the route's pattern with their values, decoded, in the pattern's order.
    #[must_use]
    pub fn params(&self) -> &[(String, String)] {
        match &self.outcome {
            Outcome::Found { params, .. } => params,
            Outcome::NotFound | Outcome::Undecodable | Outcome::WrongMethod { .. } => &[],
        }
    }

    /// When the request must be answered, if its router has a timeout.
    #[must_use]
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.deadline.map(Instant::into_std)
    }

    /// The log of failures, for handlers whose failure shows when the response has begun.
    #[must_use]
    pub fn failures(&self) -> &FailureLog {
        &self.failures
    }

    /// The same context, to be over by `deadline` at the latest.
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
