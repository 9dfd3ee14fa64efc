//! The memory budget of all instances: bounded, with its own error, and released however an instance ends.

use crate::support::{Tested, soon, wasi};
use crisol_engine::{
    Allocation, Engine, EngineConfig, Failure, Grants, Instance, Limits, MaxMemory,
};
use wasmtime::component::Val;

const MIB: u64 = 1 << 20;

/// Starts with one page. `grow` adds pages and returns the result of `memory.grow`, `fill` adds table elements.
const GUEST: &str = include_str!("guests/memory-guest.wat");

/// The same guest for the engine with asynchronous functions.
const ASYNC: &str = r#"(component
    (core func $return (canon task.return (result s32)))
    (core module $m
        (import "" "return" (func $return (param i32)))
        (memory 1)
        (func (export "grow") (param i32) (result i32) (call $return (memory.grow (local.get 0))) (i32.const 0))
        (func (export "cb") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "grow") async (param "pages" s32) (result s32)
        (canon lift (core func $i "grow") async (callback (func $i "cb")))))"#;

fn engine(allocation: Allocation, bytes: u64) -> Tested<Engine> {
    let memory = MaxMemory::Bytes(bytes);
    Ok(Engine::new(EngineConfig { allocation, memory, ..EngineConfig::default() })?)
}

async fn instance(engine: &Engine, guest: &str, method: &str) -> Tested<Result<Instance, Failure>> {
    let compiled = engine.compile(&wat::parse_str(guest)?, false)?;
    let linked = engine.link(&compiled, &Grants::select(|_| true), method)?;
    Ok(linked.instantiate(wasi(), Limits::default(), None).await)
}

fn pages(mib: u64) -> [Val; 1] {
    [Val::S32(i32::try_from(mib * MIB / 65_536).unwrap_or(i32::MAX))]
}

fn is_over<T>(ended: &Result<T, Failure>) -> bool {
    matches!(ended, Err(Failure::OverMemory(over)) if over.used <= over.limit)
}

#[tokio::test]
async fn instances_together_grow_to_the_bound() -> Tested {
    for allocation in [Allocation::OnDemand, Allocation::Pooling { instances: 20 }] {
        let engine = engine(allocation, 64 * MIB)?;
        let unused = engine.budget().used();
        let mut grown = Vec::new();
        let mut refused = 0;
        for guest in [GUEST, ASYNC].into_iter().cycle().take(10) {
            let mut instance = instance(&engine, guest, "grow").await??;
            let ended = instance.call(&pages(10), None).await;
            assert!(engine.budget().used() <= 64 * MIB);
            match ended {
                Ok(pages) => {
                    assert_eq!(pages, Some(Val::S32(1)), "what was there before");
                    grown.push(instance);
                }
                ended => {
                    assert!(is_over(&ended), "{ended:?}");
                    refused += 1;
                }
            }
        }
        // Of 64 MiB; free slots of the two engines may keep a quarter of it.
        let most = if allocation == Allocation::OnDemand { 6..=6 } else { 4..=5 };
        assert!(most.contains(&grown.len()), "{allocation:?}: {}", grown.len());
        assert_eq!(refused, 10 - grown.len());
        drop(grown);
        assert!(engine.budget().used() >= unused, "an engine for asynchronous guests was made");
        let mut again = instance(&engine, GUEST, "grow").await??;
        assert!(again.call(&pages(10), None).await.is_ok());
    }
    Ok(())
}

#[tokio::test]
async fn instance_is_refused_if_its_initial_memory_exceeds_the_bound() -> Tested {
    let engine = engine(Allocation::OnDemand, 8 * MIB)?;
    let large = r#"(component
        (core module $m (memory 200) (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func (export "f") (result s32) (canon lift (core func $i "f"))))"#;
    let made = instance(&engine, large, "f").await?;
    assert!(is_over(&made), "{made:?}");
    assert_eq!(engine.budget().used(), 0);
    Ok(())
}

#[tokio::test]
async fn tables_count() -> Tested {
    let engine = engine(Allocation::OnDemand, MIB)?;
    let mut first = instance(&engine, GUEST, "fill").await??;
    assert_eq!(first.call(&[Val::S32(90_000)], None).await?, Some(Val::S32(1)));
    assert!(engine.budget().used() > 90_000 * 8);
    let mut second = instance(&engine, GUEST, "fill").await??;
    let ended = second.call(&[Val::S32(90_000)], None).await;
    assert!(is_over(&ended), "{ended:?}");
    drop((first, second));
    assert_eq!(engine.budget().used(), 0);
    Ok(())
}

#[tokio::test]
async fn however_an_instance_ends_its_memory_is_given_back() -> Tested {
    let engine = engine(Allocation::OnDemand, 64 * MIB)?;
    let mut trapped = instance(&engine, GUEST, "grow-and-trap").await??;
    let ended = trapped.call(&pages(20), None).await;
    assert!(matches!(ended, Err(Failure::Trap(_))), "{ended:?}");
    assert!(engine.budget().used() > 20 * MIB, "held as long as the instance is");
    drop(trapped);
    assert_eq!(engine.budget().used(), 0);

    let mut late = instance(&engine, GUEST, "grow-and-spin").await??;
    let ended = late.call(&pages(20), soon(30)).await;
    assert!(matches!(ended, Err(Failure::Deadline { .. })), "{ended:?}");
    drop(late);
    assert_eq!(engine.budget().used(), 0);

    let mut cancelled = instance(&engine, GUEST, "grow-and-spin").await??;
    {
        let args = pages(20);
        let mut call = std::pin::pin!(cancelled.call(&args, None));
        // Waits until it computes, in its larger memory.
        while engine.budget().used() < 20 * MIB {
            assert!(poll_once(call.as_mut()).is_pending());
        }
    }
    drop(cancelled);
    assert_eq!(engine.budget().used(), 0);

    let mut over = instance(&engine, GUEST, "grow").await??;
    assert!(is_over(&over.call(&pages(100), None).await));
    assert!(over.call(&pages(1), None).await.is_err(), "a failed instance serves no more");
    drop(over);
    assert_eq!(engine.budget().used(), 0);
    Ok(())
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test]
async fn reused_instance_keeps_its_grown_memory() -> Tested {
    let engine = engine(Allocation::OnDemand, 64 * MIB)?;
    let mut reused = instance(&engine, GUEST, "grow").await??;
    for calls in 1..=3 {
        reused.call(&pages(10), None).await?;
        assert_eq!(engine.budget().used() / (10 * MIB), calls);
    }
    drop(reused);
    assert_eq!(engine.budget().used(), 0);
    Ok(())
}

#[tokio::test]
async fn own_memory_limit_applies_before_the_shared_bound() -> Tested {
    let engine = engine(Allocation::OnDemand, 400 * MIB)?;
    let mut guest = instance(&engine, GUEST, "grow").await??;
    // Beyond the 256 MiB of one instance; the guest may continue without it.
    assert_eq!(guest.call(&pages(300), None).await?, Some(Val::S32(-1)));
    assert_eq!(guest.call(&pages(1), None).await?, Some(Val::S32(1)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_growth_stays_within_the_bound() -> Tested {
    let engine = engine(Allocation::OnDemand, 32 * MIB)?;
    let compiled = engine.compile(&wat::parse_str(GUEST)?, false)?;
    let linked = engine.link(&compiled, &Grants::select(|_| true), "grow")?;
    let calls = (0..200).map(|_| {
        let (engine, linked) = (engine.clone(), linked.clone());
        tokio::spawn(async move {
            let ended = async {
                let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
                instance.call(&pages(5), None).await?;
                tokio::task::yield_now().await;
                instance.call(&pages(5), None).await
            };
            let ended: Result<_, Failure> = ended.await;
            assert!(engine.budget().used() <= 32 * MIB);
            (ended.is_ok(), is_over(&ended))
        })
    });
    let (mut grown, mut over) = (0, 0);
    for call in calls.collect::<Vec<_>>() {
        match call.await? {
            (true, _) => grown += 1,
            (_, true) => over += 1,
            other => return Err(format!("{other:?}").into()),
        }
    }
    assert!(grown > 0 && grown + over == 200, "{grown} {over}");
    assert_eq!(engine.budget().used(), 0);
    Ok(())
}
