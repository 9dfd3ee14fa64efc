//! Placement of an instance: the shard that it is created on.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::link::{self, ShardCallee, ShardedCallee};
use crate::pre_cache::{ShardPre, SharedPre};
use crate::shards;

/// Linked form and callee on the shard of an instance.
#[derive(Clone, Copy)]
pub(crate) struct Placement<'a> {
    pub(crate) shard: &'a ShardPre,
    pub(crate) callee: &'a ShardCallee,
}

impl<'a> Placement<'a> {
    /// Chooses the shard of this thread, or the first one until that is linked. If it has no free slot, chooses another
    /// that has one.
    pub(crate) fn choose(shared: &'a Arc<SharedPre>, callee: &'a ShardedCallee) -> Self {
        let here = Self::here(shared, callee);
        if here.shard.has_free() {
            return here;
        }
        let all = 0..shared.shards.count();
        let mut others = all.filter_map(|shard| Self::on(shard, shared, callee));
        others.find(|other| other.shard.has_free()).unwrap_or(here)
    }

    fn first(shared: &'a SharedPre, callee: &'a ShardedCallee) -> Self {
        Self { shard: shared.shards.first(), callee: callee.first() }
    }

    /// The shard of this thread. Another thread links it, since that takes milliseconds.
    fn here(shared: &'a Arc<SharedPre>, callee: &'a ShardedCallee) -> Self {
        let home = shards::home(shared.shards.count());
        match shared.shards.get(home) {
            Some(Some(_)) => Self::on(home, shared, callee),
            Some(None) => None,
            None if shared.program.is_small() && shared.shards.begin(home) => {
                let linking = Arc::clone(shared);
                let link = move || _ = linked(home, &linking);
                match Handle::try_current() {
                    Ok(runtime) => drop(runtime.spawn_blocking(link)),
                    Err(_) => link(),
                }
                None
            }
            None => None,
        }
        .unwrap_or_else(|| Self::first(shared, callee))
    }

    /// A shard, linked now if it was not used before.
    fn on(shard: usize, shared: &'a SharedPre, callee: &'a ShardedCallee) -> Option<Self> {
        let linked = linked(shard, shared)?;
        Some(Self { shard: linked, callee: callee.on(shard, &shared.program)? })
    }
}

/// Copies code to a shard and links it there. `None` if that fails: its calls then run on the first shard.
fn linked(shard: usize, shared: &SharedPre) -> Option<&ShardPre> {
    shared.shards.get_or_make(shard, || {
        let variant = shared.variants.shard(shared.key, shard)?;
        let code = shared.program.on(shard, &variant.engine)?;
        let linked = link::resolve(variant, code, &shared.grants);
        let linked = linked.inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "code cannot be linked on a shard"
            );
        });
        Some(ShardPre::new(variant, linked.ok()?.0, code))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineConfig;
    use crate::engine::Engine;
    use crate::host::InstanceContext;
    use crate::imports::Grants;
    use crate::instance;
    use crate::limits::Limits;
    use crate::link::FunctionPre;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    const ADD: &str = r#"(component
        (core module $m (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1))))
        (core instance $i (instantiate $m))
        (func (export "add") (param "a" s32) (param "b" s32) (result s32)
            (canon lift (core func $i "add"))))"#;

    fn add() -> Result<FunctionPre, Box<dyn std::error::Error>> {
        let engine = Engine::new(EngineConfig::default())?;
        let compiled = engine.compile(&wat::parse_str(ADD)?, false)?;
        Ok(engine.link(&compiled, &Grants::default(), "add")?)
    }

    async fn call(placement: Placement<'_>) -> Result<i32, Box<dyn std::error::Error>> {
        let (context, limits) = (InstanceContext::default(), Limits::default());
        let store = instance::store(placement.shard, context, limits, None);
        let mut instance = instance::make(store, placement, false, None).await?;
        let args = [2, 3].map(wasmtime::component::Val::S32);
        match instance.call(&args, None).await? {
            Some(wasmtime::component::Val::S32(sum)) => Ok(sum),
            other => Err(format!("{other:?}").into()),
        }
    }

    #[tokio::test]
    async fn each_shard_computes_the_same() -> Tested {
        let add = add()?;
        let (shared, callee) = (&add.0.shared, &add.0.callee);
        for shard in 0..shared.shards.count() {
            let placement = Placement::on(shard, shared, callee).ok_or("not linked")?;
            assert_eq!(call(placement).await?, 5);
        }
        assert!(Placement::on(shared.shards.count(), shared, callee).is_none());
        Ok(())
    }

    #[tokio::test]
    async fn an_instance_counts_no_reference_of_another_shard() -> Tested {
        let add = add()?;
        let (shared, callee) = (&add.0.shared, &add.0.callee);
        let counts = || {
            [
                Arc::strong_count(shared),
                Arc::strong_count(&shared.variants),
                Arc::strong_count(&shared.program),
                Arc::strong_count(&add.0),
                Arc::strong_count(&add.0.code.0),
            ]
        };
        for shard in 1..shared.shards.count() {
            let placement = Placement::on(shard, shared, callee).ok_or("not linked")?;
            let before = counts();
            let context = InstanceContext::default();
            let store = instance::store(placement.shard, context, Limits::default(), None);
            let instance = instance::make(store, placement, false, None).await?;
            assert_eq!(counts(), before);
            drop(instance);
        }
        Ok(())
    }
}
