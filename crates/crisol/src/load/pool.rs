//! Conversion of an entry's `pool` to the configuration of a pool.

use std::num::NonZeroUsize;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::{Config, SizeBelowWorkers, Strategy};

/// Converts an entry's `pool`.
pub(crate) fn config(pool: &crisol_schema::Pool) -> Result<Config, SizeBelowWorkers> {
    let at_least_one =
        |n: std::num::NonZeroU32| NonZeroUsize::try_from(n).unwrap_or(NonZeroUsize::MAX);
    let (strategy, warm_start) = match pool.strategy {
        crisol_schema::Strategy::Inline => (Strategy::inline(), false),
        crisol_schema::Strategy::Lazy { max_size, idle_timeout } => {
            let lazy = Lazy::new().with_max(at_least_one(max_size)).with_idle_timeout(idle_timeout);
            (Strategy::Lazy(lazy), false)
        }
        crisol_schema::Strategy::Static { workers, size, warm_start } => {
            let strategy = Strategy::fixed(Some(at_least_one(workers)), Some(at_least_one(size)))?;
            (strategy, warm_start)
        }
        crisol_schema::Strategy::Adaptive { max_size, warm_start } => {
            (Strategy::Adaptive(Adaptive::new().with_max(at_least_one(max_size))), warm_start)
        }
    };
    Ok(Config::new(strategy)
        .with_buffer(usize::try_from(pool.buffer).unwrap_or(usize::MAX))
        .with_reuse(pool.max_instance_reuse)
        .with_warm_start(warm_start))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use crisol_schema::{Kind, Loader};

    use super::*;

    /// Returns the pool configuration of a function with the given `pool` field.
    fn of(pool: &str) -> Config {
        let text = format!(
            "namespace: a\nentries:\n  - {{name: f, kind: function.wat, source: (module), method: f{pool}}}\n"
        );
        let app = Loader::new().file("_index.yaml", text).load_files().unwrap();
        let entry = app.registry.into_iter().next().unwrap();
        let Kind::Function(function) = &entry.kind else { panic!("{entry:?}") };
        config(&function.pool).unwrap()
    }

    fn n(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    fn fixed(workers: usize, size: usize) -> Strategy {
        Strategy::fixed(Some(n(workers)), Some(n(size))).unwrap()
    }

    #[test]
    fn pool_type_sets_strategy_and_a_buffer_of_64_calls_per_worker() {
        let lazy = |max| Strategy::Lazy(Lazy::new().with_max(n(max)));
        let adaptive = |max| Strategy::Adaptive(Adaptive::new().with_max(n(max)));
        for (pool, strategy, buffer) in [
            ("", lazy(100), 6_400),
            (", pool: {max_size: 4}", lazy(4), 256),
            (", pool: {workers: 2}", fixed(2, 2), 128),
            (", pool: {size: 3}", fixed(3, 3), 192),
            (", pool: {type: inline}", Strategy::inline(), 64),
            (", pool: {type: lazy}", lazy(100), 6_400),
            (", pool: {type: lazy, max_size: 8}", lazy(8), 512),
            (", pool: {type: static}", fixed(8, 8), 512),
            (", pool: {type: static, workers: 2, size: 4}", fixed(2, 4), 128),
            (", pool: {type: adaptive}", adaptive(100), 6_400),
            (", pool: {type: adaptive, max_size: 16}", adaptive(16), 1_024),
        ] {
            assert_eq!(of(pool), Config::new(strategy).with_buffer(buffer), "{pool}");
            assert_eq!(
                of(pool),
                Config::new(strategy),
                "the pool's own default is the same: {pool}"
            );
        }
    }

    #[test]
    fn pool_fields_reach_the_pool_configuration() {
        let idle = Lazy::new().with_max(n(2)).with_idle_timeout(Duration::from_millis(7));
        let three = NonZeroU32::new(3).unwrap();
        for (pool, expected) in [
            ("type: lazy, max_size: 2, idle_timeout_ms: 7", Config::new(Strategy::Lazy(idle))),
            (
                "type: static, workers: 1, warm_start: true",
                Config::new(fixed(1, 1)).with_warm_start(true),
            ),
            (
                "type: adaptive, warm_start: true",
                Config::new(Strategy::adaptive()).with_warm_start(true),
            ),
            ("type: inline, buffer: 0", Config::new(Strategy::inline()).with_buffer(0)),
            (
                "type: inline, max_instance_reuse: 3",
                Config::new(Strategy::inline()).with_reuse(three),
            ),
        ] {
            assert_eq!(of(&format!(", pool: {{{pool}}}")), expected, "{pool}");
        }
    }
}
