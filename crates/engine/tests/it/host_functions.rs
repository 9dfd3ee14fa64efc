//! Linking of functions of the embedding program.

use std::task::Poll;
use std::time::Duration;

use crate::support::{Tested, soon, stopped, wasi};
use crisol_engine::{Allocation, Engine, EngineConfig, HostCall, HostInterface, Limits, LinkError};
use wasmtime::component::Val;

/// A guest that imports `f` of an interface in the given form.
fn guest(import: &str) -> Tested<Vec<u8>> {
    let text = format!(
        r#"(component
            (import "acme:app/x@0.1.0" (instance {import}))
            (core module $m (func (export "g") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            (func (export "g") (result u32) (canon lift (core func $i "g"))))"#
    );
    Ok(wat::parse_str(text)?)
}

fn engine() -> Tested<Engine> {
    let config = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    let x = HostInterface::new("acme:app/x@0.1.0")?
        .function("f", |_: HostCall, ()| async { Ok(()) })
        .function("r", |_: HostCall, ()| async { Ok(()) });
    Ok(Engine::with_interfaces(config, vec![x])?)
}

#[test]
fn program_interfaces_prevent_sharing_of_imports() -> Tested {
    let engine = engine()?;
    let compiled = engine.compile(&guest(r#"(export "f" (func))"#)?, false)?;
    let (one, two) = ("n:one".parse()?, "n:two".parse()?);
    let link = |entry, all: bool| {
        let profile = engine.grants(entry, |name| all || name.starts_with("wasi:"));
        engine.link(&compiled, &profile, "g")
    };
    assert!(link(&one, false)?.shares_imports_with(&link(&two, false)?));
    // Its functions see the calling entry.
    let granted = link(&one, true)?;
    assert!(!granted.shares_imports_with(&link(&two, true)?));
    assert!(granted.shares_imports_with(&link(&one, true)?));
    Ok(())
}

#[test]
fn unservable_imports_fail_at_link_time() -> Tested {
    let engine = engine()?;
    let entry = "n:one".parse()?;
    let link = |import: &str, all: bool| -> Tested<Option<LinkError>> {
        let compiled = engine.compile(&guest(import)?, false)?;
        let profile = engine.grants(&entry, |_| all);
        Ok(engine.link(&compiled, &profile, "g").err())
    };
    let missing = r#"(export "h" (func))"#;
    let resource = r#"(export "thing" (type (sub resource)))"#;
    let own =
        r#"(export "thing" (type $t (sub resource))) (export "r" (func (param "x" (own $t))))"#;
    for (import, expected) in [
        (
            resource,
            "the component imports `acme:app/x@0.1.0` with the resource `thing`, and host functions take and give plain values",
        ),
        (
            own,
            "the component imports `acme:app/x@0.1.0` with the resource `thing`, and host functions take and give plain values",
        ),
    ] {
        let error = link(import, true)?.ok_or("it was linked")?;
        assert_eq!(error.to_string(), expected);
        // Without the grant the import is a stub, and a call would be denied.
        assert!(link(import, false)?.is_none(), "{import}");
    }
    // A missing function does not prevent the others from being served.
    assert!(link(missing, true)?.is_none());
    assert!(link(r#"(export "f" (func))"#, true)?.is_none());
    Ok(())
}

/// A guest that returns late did not notice the time that a host function took.
#[tokio::test(start_paused = true)]
async fn a_result_after_the_deadline_is_late() -> Tested {
    let late = |_: HostCall, (): ()| async {
        tokio::task::yield_now().await;
        // The time passes at once, without a wait.
        let mut passes = std::pin::pin!(tokio::time::advance(Duration::from_millis(60)));
        let _ = std::future::poll_fn(|cx| Poll::Ready(passes.as_mut().poll(cx))).await;
        Ok(())
    };
    let config = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    let x = HostInterface::new("acme:app/x@0.1.0")?.function("f", late);
    let engine = Engine::with_interfaces(config, vec![x])?;
    let text = r#"(component
        (import "acme:app/x@0.1.0" (instance $x (export "f" (func))))
        (core func $f (canon lower (func $x "f")))
        (core module $m (import "x" "f" (func $f)) (func (export "g") (result i32) (call $f) (i32.const 1)))
        (core instance $i (instantiate $m (with "x" (instance (export "f" (func $f))))))
        (func (export "g") (result u32) (canon lift (core func $i "g"))))"#;
    let compiled = engine.compile(&wat::parse_str(text)?, false)?;
    let linked = engine.link(&compiled, &engine.grants(&"n:one".parse()?, |_| true), "g")?;
    let call = async |ms| {
        let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
        instance.call(&[], soon(ms)).await
    };
    assert_eq!(call(100).await?, Some(Val::U32(1)));
    let [running, waiting] = stopped(call(50).await)?;
    assert_eq!(running + waiting, Duration::from_millis(60));
    Ok(())
}
