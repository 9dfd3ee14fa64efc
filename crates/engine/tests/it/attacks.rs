//! Hostile code that is costly before its first call, or runs at unexpected moments.

use std::time::Duration;

use crate::support::{Guest, Problem, Tested, engine, soon, stopped, wasi};
use crisol_core::{ResourceLimit, chain};
use crisol_engine::{Allocation, CompileError, Failure, Limits, LinkError};
use wasmtime::component::Val;

/// Error of compiling `text` in an engine with a pool.
fn refused(text: &str) -> Tested<String> {
    let engine = engine(Allocation::Pooling { instances: 100 })?;
    let error = engine.compile(&wat::parse_str(text)?, false).err().ok_or("it was compiled")?;
    assert!(!matches!(error, CompileError::Compiler));
    Ok(chain(&error))
}

#[test]
fn method_errors_list_a_bounded_number_of_exports() -> Tested {
    let exports = |names: &mut dyn Iterator<Item = String>| {
        let exports: String = names.map(|name| format!("(export \"{name}\" (func 0))")).collect();
        format!(
            r#"(component
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func (canon lift (core func $i "f")))
                {exports})"#
        )
    };
    let missing = |text: &str| -> Tested<String> {
        let error = Guest::wat(text, "nothing").err().ok_or("it was linked")?;
        assert!(matches!(error.downcast_ref(), Some(LinkError::Method(_))), "{error}");
        Ok(error.to_string())
    };
    let many = missing(&exports(&mut (0..2_000).map(|at| format!("e{at}"))))?;
    assert!(many.contains("`e39: func()` and 1960 more"), "{many}");
    assert!(!many.contains("e40"), "{many}");
    let long = missing(&exports(&mut (0..3).map(|at| format!("x{}-y{at}", "x".repeat(90_000)))))?;
    assert!(long.len() < 2_000 && long.contains("xxx…`, "), "{} bytes", long.len());
    Ok(())
}

#[test]
fn names_count_as_often_as_they_are_in_a_signature() -> Tested {
    let text = format!(
        r#"(component
            (type $r' (record (field "{}" u8)))
            (export $r "r" (type $r'))
            (type $t (tuple {}))
            (core module $m (memory (export "m") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" $t) (canon lift (core func $i "f")
                (memory $i "m") (realloc (func $i "realloc")))))"#,
        "n".repeat(90_000),
        "$r ".repeat(100),
    );
    let error = Guest::wat(&text, "f").err().ok_or("it was linked")?;
    let error: &LinkError = error.downcast_ref().ok_or("another error")?;
    assert_eq!(
        chain(error),
        "the export `f` cannot be called from outside: parameter 1 (x).46 is part of a signature with over 4194304 bytes of names"
    );
    Ok(())
}

#[test]
fn one_component_does_not_take_the_slots_of_all_others() -> Tested {
    let many = |what: &str, times: usize| {
        format!(
            "(component (core module $m {what}) {})",
            "(core instance (instantiate $m))".repeat(times)
        )
    };
    for (what, times, expected) in [
        ("(memory 0)", 33, "contains 33 Wasm linear memories, which exceeds"),
        ("(table 0 funcref)", 129, "contains 129 tables, which exceeds"),
        ("", 257, "contains 257 core module instances, which exceeds"),
    ] {
        let error = refused(&many(what, times))?;
        assert!(error.contains(expected), "{error}");
        let engine = engine(Allocation::Pooling { instances: 100 })?;
        assert!(engine.compile(&wat::parse_str(many(what, times - 1))?, false).is_ok());
    }
    Ok(())
}

/// `$lift` is how `f` is lifted from a module with the functions `f`, `post` and `realloc`, of which one has
/// no end.
fn endless(which: &str, ty: &str, lift: &str) -> Tested<Guest> {
    let end = |name: &str| if name == which { "(loop (br 0))" } else { "" };
    let text = format!(
        r#"(component
            (core module $m (memory (export "m") 4000)
                (func (export "f") (result i32) (i32.const 0))
                (func (export "take") (param i32 i32))
                (func (export "fill")
                    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 262144000)) (br 0)))
                (func (export "post") (param i32) {})
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {} (i32.const 8)))
            (core instance $i (instantiate $m))
            (func (export "f") {ty} (canon lift {lift})))"#,
        end("post"),
        end("realloc"),
    );
    Guest::wat(&text, "f")
}

#[tokio::test]
async fn guests_are_stopped_wherever_they_run() -> Tested {
    let post = r#"(core func $i "f") (memory $i "m") (post-return (func $i "post"))"#;
    let realloc = r#"(core func $i "take") (memory $i "m") (realloc (func $i "realloc"))"#;
    for (which, ty, lift, args) in [
        ("post", "(result string)", post, vec![]),
        ("realloc", r#"(param "x" string)"#, realloc, vec![Val::String("x".to_owned())]),
        ("fill", "", r#"(core func $i "fill")"#, vec![]),
    ] {
        let guest = endless(which, ty, lift)?;
        let mut instance = guest.instance(Limits::default()).await?;
        let ended = instance.call(&args, soon(50)).await;
        assert!(matches!(ended, Err(Failure::Deadline { .. })), "{which}: {ended:?}");
    }
    let well = endless("none", "(result string)", post)?;
    assert_eq!(well.call(&[]).await?, Some(Val::String(String::new())));
    Ok(())
}

#[tokio::test]
async fn collected_objects_count_as_memory() -> Tested {
    for body in [
        "(drop (array.new_default $a (i32.const 1000000000)))",
        "(loop (local.set $x (struct.new $s (i64.const 1) (local.get $x))) (br 0))",
    ] {
        let guest = Guest::wat(
            &format!(
                r#"(component
                    (core module $m
                        (type $a (array (mut i8)))
                        (type $s (struct (field (mut i64)) (field (mut (ref null $s)))))
                        (func (export "f") (local $x (ref null $s)) {body}))
                    (core instance $i (instantiate $m))
                    (func (export "f") (canon lift (core func $i "f"))))"#
            ),
            "f",
        )?;
        let limits = Limits { max_memory_bytes: 4 << 20, ..Limits::default() };
        let mut instance = guest.instance(limits).await?;
        let ended = instance.call(&[], soon(3_600_000)).await;
        let memory = matches!(ended, Err(Failure::Limit(ResourceLimit::Memory { .. })));
        assert!(memory, "{body}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn failed_instantiation_frees_its_slot() -> Tested {
    let module = |fields: &str| {
        format!(
            r#"(component
                (core module $m {fields} (func (export "f")))
                (core instance $i (instantiate $m))
                (func (export "f") (canon lift (core func $i "f"))))"#
        )
    };
    let grows = "(memory 1) (func $s (loop (br_if 0 (i32.ne (memory.grow (i32.const 10)) (i32.const -1))) unreachable)) (start $s)";
    for (fields, expected) in [
        ("(func $s unreachable) (start $s)", "`unreachable` instruction executed"),
        ("(memory 1) (data (i32.const 65535) \"ab\")", "out of bounds memory access"),
        ("(table 1 funcref) (func $t) (elem (i32.const 9) $t)", "out of bounds table access"),
        (grows, "`limits.max_memory_bytes` of 1048576"),
        ("(func $s (call $s)) (start $s)", "its stack"),
    ] {
        let guest = Guest::pooled(1, &module(fields), "f")?;
        let limits = Limits { max_memory_bytes: 1 << 20, ..Limits::default() };
        for _ in 0..3 {
            let made = guest.linked.instantiate(wasi(), limits, soon(3_600_000)).await;
            let error = chain(&made.err().ok_or("it was made")?);
            assert!(error.contains(expected), "{fields}: {error}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn fuel_is_each_calls_own() -> Tested {
    let guest = Guest::wat_with_fuel(
        r#"(component
            (core module $m (func (export "f") (param i32) (loop
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
            (core instance $i (instantiate $m))
            (func (export "f") (param "turns" u32) (canon lift (core func $i "f"))))"#,
        "f",
    )?;
    let limits = Limits { max_fuel: Some(10_000), ..Limits::default() };
    let mut instance = guest.instance(limits).await?;
    // Together they exceed the limit by far.
    for _ in 0..20 {
        instance.call(&[Val::U32(700)], None).await?;
    }
    let over = instance.call(&[Val::U32(10_000)], None).await;
    assert!(matches!(over, Err(Failure::Limit(ResourceLimit::Fuel { .. }))), "{over:?}");
    Ok::<_, Problem>(())
}

/// A module whose start function sleeps for a minute.
const SLEEPS: &str = include_str!("guests/sleeps.wat");

#[tokio::test(start_paused = true)]
async fn a_start_function_asleep_is_stopped_and_was_waiting() -> Tested {
    let guest = Guest::pooled(1, SLEEPS, "f")?;
    for _ in 0..2 {
        let made = guest.linked.instantiate(wasi(), Limits::default(), soon(50)).await;
        assert_eq!(stopped(made)?, [Duration::ZERO, Duration::from_millis(50)]);
    }
    Ok(())
}

/// Sixteen million numbers would make as many host values: counting must not build them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_result_far_over_its_limit_is_not_built() -> Tested {
    if !crisol_fixtures::runs_alone(module_path!(), "a_result_far_over_its_limit_is_not_built")? {
        return Ok(());
    }
    let guest = Guest::wat(
        r#"(component
            (core module $m (memory (export "memory") 300)
                (func (export "f") (result i32)
                    (i32.store (i32.const 4) (i32.const 16000000)) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "f") (result (list u8))
                (canon lift (core func $i "f") (memory $i "memory"))))"#,
        "f",
    )?;
    let limits = Limits { max_output_bytes: 1000, ..Limits::default() };
    let ended = guest.instance(limits).await?.call(&[], None).await;
    let output = matches!(ended, Err(Failure::Limit(ResourceLimit::Output { .. })));
    assert!(output, "{ended:?}");
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    let peak: usize = peak.trim().trim_end_matches(" kB").parse()?;
    assert!(peak < 250 << 10, "{peak} kB");
    Ok(())
}
