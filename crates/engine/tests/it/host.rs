//! Failures of the host: panics in its functions, lack of address space and memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::{Guest, Tested, soon, stopped, wasi};
use crisol_engine::{Allocation, Engine, EngineConfig, Failure, Grants, Limits};
use tokio::io::AsyncWrite;
use wasmtime::component::Val;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// A standard output that panics when the guest asks for it.
struct Panics;

impl IsTerminal for Panics {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Panics {
    #[expect(clippy::panic, reason = "it is what is tested")]
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        std::panic::panic_any("the host's own mistake")
    }
}

/// A standard output that never accepts data and never fails.
struct Hangs;

impl IsTerminal for Hangs {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Hangs {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self)
    }
}

impl AsyncWrite for Hangs {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// Many random bytes are made in turns, in both WASI releases for components.
#[tokio::test]
async fn many_random_bytes_let_others_run() -> Tested {
    for release in ["0.2.0", "0.3.0"] {
        let text = format!(
            r#"(component
                (import "wasi:random/random@{release}" (instance $r
                    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
                (core module $memory (memory (export "memory") 400)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))
                (core instance $memory (instantiate $memory))
                (core func $f (canon lower (func $r "get-random-bytes")
                    (memory $memory "memory") (realloc (func $memory "realloc"))))
                (core module $m (import "r" "f" (func $f (param i64 i32))) (import "m" "memory" (memory 0))
                    (func (export "g") (result i32)
                        (call $f (i64.const 20971520) (i32.const 0)) (i32.load (i32.const 4))))
                (core instance $i (instantiate $m
                    (with "r" (instance (export "f" (func $f)))) (with "m" (instance $memory))))
                (func (export "g") (result u32) (canon lift (core func $i "g"))))"#
        );
        let mut instance = Guest::wat(&text, "g")?.instance(Limits::default()).await?;
        let mut turns = 0;
        let others = async {
            loop {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        let called = tokio::select! {
            biased;
            called = instance.call(&[], None) => called?,
            () = others => None,
        };
        assert_eq!(called, Some(Val::U32(20 << 20)), "{release}");
        assert!(turns >= 319, "{release}: {turns}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn hanging_host_functions_stop_at_the_deadline() -> Tested {
    let engine = crate::support::engine(Allocation::Pooling { instances: 1 })?;
    let compiled = engine.compile(&crisol_fixtures::bytes("probe"), false)?;
    let linked = engine.link(&compiled, &Grants::select(|_| true), "print")?;
    let text = |text: &str| Val::String(text.to_owned());
    let args = [text("out"), text("")];
    for _ in 0..3 {
        let context = WasiCtx::builder().stdout(Hangs).build();
        let mut instance = linked.instantiate(context, Limits::default(), None).await?;
        let told = stopped(instance.call(&args, soon(100)).await)?;
        assert_eq!(told, [Duration::ZERO, Duration::from_millis(100)]);
    }
    // The one slot is free again.
    let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
    assert!(instance.call(&args, None).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn panicking_host_functions_fail_the_call_and_free_the_slot() -> Tested {
    let engine = crate::support::engine(Allocation::Pooling { instances: 1 })?;
    let compiled = engine.compile(&crisol_fixtures::bytes("probe"), false)?;
    let linked = engine.link(&compiled, &Grants::select(|_| true), "print")?;
    let text = |text: &str| Val::String(text.to_owned());
    let args = [text("out"), text("")];
    for _ in 0..100 {
        let context = WasiCtx::builder().stdout(Panics).build();
        let mut instance = linked.instantiate(context, Limits::default(), None).await?;
        match instance.call(&args, None).await {
            Err(Failure::Panicked(message)) => assert_eq!(message, "the host's own mistake"),
            other => panic!("expected a panic of the host, found {other:?}"),
        }
        let again = instance.call(&args, None).await;
        assert!(matches!(again, Err(Failure::Host(_))), "{again:?}");
    }
    let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
    assert!(instance.call(&args, None).await.is_ok());
    Ok(())
}

/// A pooling engine reserves terabytes. With 16 GiB of address space it falls back, and several instances still
/// live side by side.
#[cfg(target_os = "linux")]
#[test]
fn engine_falls_back_when_address_space_is_short() -> Tested {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let name = "engine_falls_back_when_address_space_is_short";
    if !crisol_fixtures::runs_alone(module_path!(), name)? {
        return Ok(());
    }
    let bytes = Some(16 << 30);
    setrlimit(Resource::As, Rlimit { current: bytes, maximum: bytes })?;
    let engine = Engine::new(EngineConfig::default())?;
    assert_eq!(engine.config().allocation, Allocation::Unreserved);
    let compiled = engine.compile(&crisol_fixtures::bytes("compute"), false)?;
    let linked = engine.link(&compiled, &Grants::default(), "compute")?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let mut alive = Vec::new();
        for _ in 0..32 {
            let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
            let result = instance.call(&[Val::S32(6), Val::S32(7)], None).await?;
            assert_eq!(result, Some(Val::S32(42)));
            alive.push(instance);
        }
        Ok(())
    })
}

/// A new instance fails with `NoMemory` if the system has no memory for it, and live instances continue.
#[cfg(target_os = "linux")]
#[test]
fn instance_is_refused_when_the_system_has_no_memory() -> Tested {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let name = "instance_is_refused_when_the_system_has_no_memory";
    if !crisol_fixtures::runs_alone(module_path!(), name)? {
        return Ok(());
    }
    let engine = crate::support::engine(Allocation::OnDemand)?;
    let compiled = engine.compile(&crisol_fixtures::bytes("compute"), false)?;
    let linked = engine.link(&compiled, &Grants::default(), "compute")?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Each instance reserves 4 GiB.
    let bytes = Some(64 << 30);
    setrlimit(Resource::As, Rlimit { current: bytes, maximum: bytes })?;
    tokio.block_on(async {
        let mut alive = Vec::new();
        let refused = loop {
            match linked.instantiate(wasi(), Limits::default(), None).await {
                Ok(instance) => alive.push(instance),
                Err(refused) => break refused,
            }
            assert!(alive.len() < 64, "there is no end of memory");
        };
        assert!(matches!(refused, Failure::NoMemory(_)), "{refused:?}");
        let last = alive.last_mut().ok_or("not even one")?;
        let result = last.call(&[Val::S32(6), Val::S32(7)], None).await?;
        assert_eq!(result, Some(Val::S32(42)));
        Ok(())
    })
}

#[tokio::test]
async fn tables_have_a_limit_and_the_error_says_so() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (core module $m (table 1 funcref)
                (func $grow (export "grow") (param i32) (result i32)
                    (table.grow (ref.null func) (local.get 0)))
                (func (export "insist")
                    (if (i32.eq (call $grow (i32.const 1000)) (i32.const -1)) (then unreachable))))
            (core instance $i (instantiate $m))
            (func (export "grow") (param "n" u32) (result s32) (canon lift (core func $i "grow")))
            (func (export "insist") (canon lift (core func $i "insist"))))"#,
        "grow",
    )?;
    let limits = Limits { max_table_elements: 100, ..Limits::default() };
    let mut instance = guest.instance(limits).await?;
    assert_eq!(instance.call(&[Val::U32(99)], None).await?, Some(Val::S32(1)));
    assert_eq!(instance.call(&[Val::U32(1)], None).await?, Some(Val::S32(-1)), "told first");
    let insisted = guest.method("insist")?.instance(limits).await?.call(&[], None).await;
    match insisted {
        Err(Failure::Limit(limit)) => assert_eq!(
            limit.to_string(),
            "the limit of 100 table elements (the guest asked for 1001 in all)"
        ),
        other => panic!("expected the limit of tables, found {other:?}"),
    }
    Ok(())
}
