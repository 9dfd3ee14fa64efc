//! Rate limits for each client: the generic cell rate algorithm, with one instant of state per address.

mod clients;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crisol_transport::{Cause, Problem};
use http::{HeaderValue, Request, Response, header};
use tokio::time::Instant;

use self::clients::Clients;
use super::{MiddlewareError, RateLimit, RateLimitBy};
use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;

/// Maximum number of clients in the table. Beyond it, a new client replaces the one closest to its full burst,
/// which then has its full burst at once: no client is refused for lack of room.
const CLIENTS: usize = 65_536;

/// Key of all clients, if they are counted together.
const EVERYONE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

pub(super) struct RateLimitHandler {
    rate: Rate,
    by: RateLimitBy,
    inner: Arc<dyn Handler>,
}

impl RateLimitHandler {
    pub(super) fn new(rate: RateLimit, inner: Arc<dyn Handler>) -> Result<Self, MiddlewareError> {
        Ok(Self { rate: Rate::new(rate, CLIENTS, Instant::now())?, by: rate.by, inner })
    }
}

#[async_trait]
impl Handler for RateLimitHandler {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let client = match self.by {
            RateLimitBy::Client => context.peer.client(),
            RateLimitBy::All => EVERYONE,
        };
        match self.rate.admit(client, Instant::now()) {
            Ok(()) => self.inner.handle(context, request).await,
            Err(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let problem = Problem::new(Cause::RateLimited, "too many requests; slow down")
                    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
                context.problem(problem)
            }
        }
    }
}

/// The algorithm, without a clock of its own.
struct Rate {
    /// Time that one request uses up.
    interval: Duration,
    /// Maximum time that a client may be ahead of the clock.
    tolerance: Duration,
    /// Time at which each client has its full burst again.
    clients: Mutex<Clients>,
}

impl Rate {
    fn new(rate: RateLimit, capacity: usize, now: Instant) -> Result<Self, MiddlewareError> {
        let interval = rate.per.checked_div(rate.requests).unwrap_or_default();
        if interval.is_zero() || rate.burst == 0 {
            return Err(MiddlewareError::NoRate);
        }
        let tolerance = interval.saturating_mul(rate.burst - 1);
        let clients = Clients::new(capacity, tolerance.saturating_add(interval), now);
        Ok(Self { interval, tolerance, clients: Mutex::new(clients) })
    }

    /// Admits a request, or returns the time to wait.
    fn admit(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let base = clients.until(client).unwrap_or(now).max(now);
        let ahead = base.duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        clients.set(client, base + self.interval, now);
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

    fn rate(burst: u32, capacity: usize) -> Result<(Rate, Instant), MiddlewareError> {
        let (by, start) = (RateLimitBy::Client, Instant::now());
        let rate = RateLimit { requests: 10, per: ms(1000), burst, by };
        Ok((Rate::new(rate, capacity, start)?, start))
    }

    #[test]
    fn a_burst_then_one_for_each_interval() -> Result<(), MiddlewareError> {
        let (rate, start) = rate(3, 10)?;
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
    fn a_new_client_replaces_the_one_nearest_to_its_full_burst() -> Result<(), MiddlewareError> {
        let (rate, start) = rate(2, 2)?;
        assert_eq!(rate.admit(A, start), Ok(()));
        assert_eq!(rate.admit(A, start), Ok(()));
        assert_eq!(rate.admit(B, start), Ok(()));
        assert_eq!(rate.admit(C, start), Ok(()));
        assert_eq!(rate.admit(A, start), Err(ms(100)));
        assert_eq!(rate.admit(B, start + ms(1)), Ok(()));
        assert_eq!(rate.admit(A, start + ms(1)), Err(ms(99)));
        Ok(())
    }

    #[test]
    fn a_full_table_serves_new_clients_and_keeps_its_refusals() -> Result<(), MiddlewareError> {
        let (rate, start) = rate(10, CLIENTS)?;
        for _ in 0..10 {
            assert_eq!(rate.admit(A, start), Ok(()));
        }
        // Three times as many new clients as the table holds, within one interval.
        for n in 0..3 * CLIENTS as u128 {
            let stranger = IpAddr::V6(Ipv6Addr::from_bits(n << 64));
            let now = start + Duration::from_nanos(300 * n as u64);
            assert_eq!(rate.admit(stranger, now), Ok(()), "{n}");
        }
        assert!(rate.admit(A, start + ms(99)).is_err());
        rate.clients.lock().unwrap_or_else(PoisonError::into_inner).check();
        Ok(())
    }

    #[test]
    fn every_request_to_a_full_table_takes_as_few_steps() -> Result<(), MiddlewareError> {
        let (rate, start) = rate(1, CLIENTS)?;
        let steps = || rate.clients.lock().unwrap_or_else(PoisonError::into_inner).steps;
        let v4 = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
        let full = CLIENTS as u32;
        for n in 0..full {
            assert_eq!(rate.admit(v4(n), start), Ok(()));
        }
        assert_eq!(steps(), 0, "nobody had to make room");
        assert_eq!(rate.admit(v4(full), start), Ok(()));
        // All lists may have to be checked, however many clients they hold.
        assert!(steps() <= 65, "{} lists for a stranger", steps());
        let before = steps();
        assert!(rate.admit(v4(full - 1), start).is_err());
        assert_eq!(steps(), before, "a refusal looks at nothing but the client");
        assert_eq!(rate.admit(v4(full + 1), start + ms(10_000)), Ok(()));
        assert!(steps() <= before + 65 + 65, "{} lists after a pause", steps() - before);
        Ok(())
    }

    /// The same algorithm with unlimited memory.
    fn unbounded(
        known: &mut std::collections::HashMap<IpAddr, Instant>,
        (interval, tolerance): (Duration, Duration),
        (client, now): (IpAddr, Instant),
    ) -> bool {
        let base = known.get(&client).copied().unwrap_or(now).max(now);
        let fits = base - now <= tolerance;
        if fits {
            known.insert(client, base + interval);
        }
        fits
    }

    proptest::proptest! {
        #[test]
        fn table_is_exact_up_to_its_capacity(
            burst in 1..6_u32,
            asked in proptest::collection::vec((0..40_u32, 0..80_u64), 1..150),
        ) {
            let (full, start) = rate(burst, 40).unwrap();
            let (narrow, mut now) = (rate(burst, 7).unwrap().0, start);
            let limits = (full.interval, full.tolerance);
            let mut known = std::collections::HashMap::new();
            for (n, pause) in asked {
                // Most requests arrive together, like an attacker's.
                now += ms(pause.saturating_sub(60));
                let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
                let fits = unbounded(&mut known, limits, (client, now));
                proptest::prop_assert_eq!(full.admit(client, now).is_ok(), fits);
                let stranger = narrow.clients.lock().unwrap().until(client).is_none();
                proptest::prop_assert!(narrow.admit(client, now).is_ok() || !stranger);
            }
            full.clients.lock().unwrap().check();
            narrow.clients.lock().unwrap().check();
        }
    }
}
