//! Runs ten million calls over all four strategies, some cancelled, failing or timed out, while pools are replaced.
//! Prints the memory of the process after each million. The argument changes the number of calls.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::testing::FakeFactory;
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, Retired, Strategy};
use tokio::time::Instant;

const TASKS: u64 = 64;

/// Resident memory in kilobytes; 0 if the system does not report it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn pools(fakes: &FakeFactory) -> Result<Vec<Arc<Pool<FakeFactory>>>, Box<dyn std::error::Error>> {
    let four = NonZeroUsize::new(4).ok_or("four")?;
    let strategies = [
        Strategy::inline(),
        Lazy::new().with_max(four).with_idle_timeout(Duration::from_millis(50)).into(),
        Strategy::fixed(Some(four), NonZeroUsize::new(8))?,
        Adaptive::new().into(),
    ];
    let configs = strategies.into_iter().flat_map(|strategy| {
        [1, 100].map(|reuse| {
            let reuse = NonZeroU32::new(reuse).unwrap_or(NonZeroU32::MIN);
            Config::new(strategy).with_reuse(reuse)
        })
    });
    Ok(configs.map(|config| Pool::new(fakes.clone(), config)).collect())
}

async fn call(pool: &Pool<FakeFactory>, n: u64) {
    let deadline = n.is_multiple_of(5).then(|| Instant::now() + Duration::from_millis(n % 3));
    let check_out = pool.check_out(CheckoutOptions::new().with_deadline(deadline));
    let lease = if n.is_multiple_of(101) {
        // The caller is dropped while it waits.
        tokio::time::timeout(Duration::ZERO, check_out).await.ok().and_then(Result::ok)
    } else {
        check_out.await.ok()
    };
    let Some(lease) = lease else { return };
    if n.is_multiple_of(2) {
        tokio::task::yield_now().await;
    }
    match n % 97 {
        0 => drop(lease),
        1 => lease.give_back(Disposition::Retire(Retired::Failed)),
        _ => lease.give_back(Disposition::Reuse),
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calls = std::env::args().nth(1).map_or(Ok(10_000_000), |arg| arg.parse::<u64>())?;
    let fakes = FakeFactory::new();
    let rounds = 10;
    for round in 1..=rounds {
        let pools = Arc::new(pools(&fakes)?);
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let pools = Arc::clone(&pools);
                tokio::spawn(async move {
                    for n in 0..calls / rounds / TASKS {
                        let n = n * TASKS + task;
                        if let Some(pool) = pools.get((n / 7) as usize % pools.len()) {
                            call(pool, n).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let mut admitted = 0;
        for pool in pools.iter() {
            if !pool.drain(Duration::from_secs(10)).await.is_clean() {
                return Err("a call was left behind".into());
            }
            admitted += pool.stats().admitted;
        }
        drop(pools);
        println!(
            "round {round}: {admitted} calls served, {} workers made in all, {} alive, {} KiB resident",
            fakes.made(),
            fakes.alive(),
            resident()
        );
    }
    Ok(())
}
