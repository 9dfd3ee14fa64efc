//! A rate for each client: the generic cell rate algorithm, one instant of state per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crisol_transport::{Cause, Problem};
use http::{HeaderValue, Request, Response, header};
use tokio::time::Instant;

use super::{MiddlewareError, RateLimit, RateLimitBy};
use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;

/// Clients that are remembered at most. Beyond it those that have their whole burst again are
/// forgotten, which changes nothing for them; if all are busy, everyone is refused until one is not.
const CLIENTS: usize = 65_536;

/// Stands for all clients where they are counted together.
const EVERYONE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

pub(super) struct Limited {
    rate: Rate,
    by: RateLimitBy,
    inner: Arc<dyn Handler>,
}

impl Limited {
    pub(super) fn new(rate: RateLimit, inner: Arc<dyn Handler>) -> Result<Self, MiddlewareError> {
        Ok(Self { rate: Rate::new(rate, CLIENTS)?, by: rate.by, inner })
    }
}

#[async_trait]
impl Handler for Limited {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let client = match self.by {
            RateLimitBy::Client => context.peer.client(),
            RateLimitBy::All => EVERYONE,
        };
        match self.rate.admit(client, Instant::now()) {
            Ok(()) => self.inner.handle(context, request).await,
            Err(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let trouble = Problem::new(Cause::RateLimited, "too many requests; slow down")
                    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
                context.problem(trouble)
            }
        }
    }
}

/// The algorithm, without a clock of its own.
struct Rate {
    /// Time that one request takes up.
    interval: Duration,
    /// How far ahead of the clock a client may be.
    tolerance: Duration,
    capacity: usize,
    /// When each client will have used up what it has asked for.
    clients: Mutex<HashMap<IpAddr, Instant>>,
}

impl Rate {
    fn new(rate: RateLimit, capacity: usize) -> Result<Self, MiddlewareError> {
        let interval = rate.per.checked_div(rate.requests).unwrap_or_default();
        if interval.is_zero() || rate.burst == 0 {
            return Err(MiddlewareError::NoRate);
        }
        let tolerance = interval.saturating_mul(rate.burst - 1);
        Ok(Self { interval, tolerance, capacity, clients: Mutex::default() })
    }

    /// Lets a request in, or says how long to wait.
    fn admit(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= self.capacity && !clients.contains_key(&client) {
            clients.retain(|_, until| *until > now);
            if clients.len() >= self.capacity {
                return Err(self.interval);
            }
        }
        let until = clients.entry(client).or_insert(now);
        let base = (*until).max(now);
        let ahead = base.duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        *until = base + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
    const C: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn rate(burst: u32, capacity: usize) -> Result<Rate, MiddlewareError> {
        let by = RateLimitBy::Client;
        Rate::new(RateLimit { requests: 10, per: ms(1000), burst, by }, capacity)
    }

    #[test]
    fn a_burst_then_one_for_each_interval() -> Result<(), MiddlewareError> {
        let (rate, start) = (rate(3, 10)?, Instant::now());
        for _ in 0..3 {
            assert_eq!(rate.admit(A, start), Ok(()));
        }
        assert_eq!(rate.admit(A, start), Err(ms(100)));
        assert_eq!(rate.admit(B, start), Ok(()));
        assert_eq!(rate.admit(A, start + ms(60)), Err(ms(40)));
        assert_eq!(rate.admit(A, start + ms(100)), Ok(()));
        assert_eq!(rate.admit(A, start + ms(100)), Err(ms(100)));
        Ok(())
    }

    #[test]
    fn memory_is_bounded_and_the_idle_make_room() -> Result<(), MiddlewareError> {
        let (rate, start) = (rate(1, 2)?, Instant::now());
        assert_eq!(rate.admit(A, start), Ok(()));
        assert_eq!(rate.admit(B, start + ms(50)), Ok(()));
        assert_eq!(rate.admit(C, start + ms(60)), Err(ms(100)));
        assert_eq!(rate.admit(C, start + ms(100)), Ok(()));
        Ok(())
    }
}
