//! A call that finds a ready worker does not allocate, with or without a deadline. Neither does a call that waits
//! in a queue which was as long before.

use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::{CheckoutOptions, Config, Disposition, Factory, Pool, Strategy};
use tokio::time::Instant;

struct Numbers;

impl Factory for Numbers {
    type Worker = u64;
    type Error = Infallible;

    async fn make(&self) -> Result<u64, Infallible> {
        Ok(7)
    }
}

async fn one_call(pool: &Pool<Numbers>, options: CheckoutOptions) {
    pool.check_out(options).await.unwrap().give_back(Disposition::Reuse);
}

/// One call runs while another waits for its permit.
async fn two_calls(pool: &Pool<Numbers>) {
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let mut second = pin!(one_call(pool, CheckoutOptions::new()));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(cx).is_pending());
    lease.give_back(Disposition::Reuse);
    second.await;
}

#[test]
fn a_call_on_a_ready_worker_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let n = NonZeroUsize::new;
    let one = n(1).unwrap();
    for strategy in [
        Strategy::inline(),
        Lazy::new().with_max(one).into(),
        Strategy::fixed(n(1), None).unwrap(),
        Adaptive::new().with_max(one).into(),
    ] {
        let pool = Pool::new(Numbers, Config::new(strategy).with_reuse(NonZeroU32::MAX));
        runtime.block_on(async {
            two_calls(&pool).await;
            tokio::task::yield_now().await;
            let deadline = Instant::now() + Duration::from_secs(3_600);
            // The background task is awake now, and nothing yields to it.
            one_call(&pool, CheckoutOptions::new()).await;
            let cx = &mut Context::from_waker(Waker::noop());
            let counted = allocation_counter::measure(|| {
                for options in
                    [CheckoutOptions::new(), CheckoutOptions::new().with_deadline(Some(deadline))]
                {
                    assert!(pin!(one_call(&pool, options)).poll(cx).is_ready());
                }
                assert!(pin!(two_calls(&pool)).poll(cx).is_ready());
            });
            assert_eq!(counted.count_total, 0, "{strategy:?}");
        });
    }
}
