//! Isolation of calls: no call sees data of another, in any pool, on reused slots that keep their pages.

use crisol::{Allocation, EngineConfig, Runtime};

use crate::support::Tested;

/// Guest with two functions. `hide` writes a secret to a megabyte of initial memory, a grown megabyte, a table and a
/// global. `seek` grows as far and counts everything that differs from the module's initial state.
const SECRETS: &str = r#"(module
    (memory 17)
    (data (i32.const 64) "as built")
    (table 1000 2000 funcref)
    (elem (i32.const 0) $f)
    (global $g (mut i64) (i64.const 7))
    (func $f)
    (func $all (result i32)
        (drop (memory.grow (i32.const 17)))
        (drop (table.grow (ref.null func) (i32.const 1000)))
        (i32.mul (memory.size) (i32.const 65536)))
    (func (export "hide") (param i32) (result i32) (local $at i32) (local $end i32)
        (local.set $end (call $all))
        (loop $more
            (i32.store (local.get $at) (local.get 0))
            (br_if $more (i32.lt_u
                (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
        (table.fill (i32.const 0) (ref.func $f) (table.size))
        (global.set $g (i64.extend_i32_u (local.get 0)))
        (if (i32.eqz (local.get 0)) (then unreachable))
        (local.get $end))
    (func (export "seek") (result i32) (local $at i32) (local $end i32) (local $found i32)
        (local.set $end (call $all))
        (if (i64.ne (i64.load (i32.const 64)) (i64.const 0x746c697562207361))
            (then (local.set $found (i32.const 1))))
        (local.set $at (i32.const 72))
        (loop $more
            (local.set $found (i32.add (local.get $found)
                (i64.ne (i64.load (local.get $at)) (i64.const 0))))
            (br_if $more (i32.lt_u
                (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
        (local.set $at (i32.const 1))
        (loop $more
            (local.set $found (i32.add (local.get $found)
                (i32.eqz (ref.is_null (table.get (local.get $at))))))
            (br_if $more (i32.lt_u
                (local.tee $at (i32.add (local.get $at) (i32.const 1))) (table.size))))
        (i32.add (local.get $found) (i64.ne (global.get $g) (i64.const 7)))))"#;

/// Loads both functions of the guest in every pool, as `n:hide_POOL` and `n:seek_POOL`.
fn load(pools: &[(&str, &str)]) -> Tested<Runtime> {
    let mut text = "namespace: n\nentries:\n".to_owned();
    for (name, pool) in pools {
        for method in ["hide", "seek"] {
            let source = SECRETS.replace('\n', " ");
            text += &format!(
                "  - name: {method}_{name}\n    kind: function.wat\n    method: {method}\n    pool: {pool}\n    source: '{source}'\n"
            );
        }
    }
    // Few slots, so that each is reused often.
    let allocation = Allocation::Pooling { instances: 12 };
    let engine = EngineConfig { allocation, ..EngineConfig::default() };
    Ok(Runtime::builder().file("_index.yaml", text).engine(engine).load()?)
}

#[tokio::test]
async fn guest_finds_no_secrets_of_another_call() -> Tested {
    let pools = [
        ("inline", "{type: inline}"),
        ("lazy", "{type: lazy, max_size: 2}"),
        ("static", "{type: static, workers: 1, size: 2}"),
        ("adaptive", "{type: adaptive, max_size: 2, warm_start: true}"),
    ];
    let runtime = load(&pools)?;
    let bytes = 34 << 16;
    for round in 0..6 {
        for (pool, _) in pools {
            let (hide, seek) = (format!("n:hide_{pool}"), format!("n:seek_{pool}"));
            let hidden: i32 = runtime.call(&hide, (0x5ec4_e700_u32 as i32,)).await?;
            assert_eq!(hidden, bytes, "the guest did not get its memory");
            assert_eq!(runtime.call::<i32>(&seek, ()).await?, 0, "{pool}, round {round}");
            // A trapping call leaves its secret behind.
            assert!(runtime.call::<i32>(&hide, (0,)).await.is_err());
            assert_eq!(runtime.call::<i32>(&seek, ()).await?, 0, "{pool}, round {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn secrets_are_found_in_a_shared_instance() -> Tested {
    // Control: a single instance hides and then seeks, so it must find the secrets.
    let source = SECRETS
        .replace(
            "(func (export \"seek\") (result i32)",
            "(func (export \"seek\") (param i32) (result i32)",
        )
        .replace("(func (export \"hide\")", "(func $hide (export \"hide\")")
        .replace(
            "(local.set $end (call $all))\n        (if (i64.ne",
            "(drop (call $hide (i32.const 9))) (local.set $end (call $all))\n        (if (i64.ne",
        );
    let text = format!(
        "namespace: n\nentries:\n  - name: f\n    kind: function.wat\n    method: seek\n    source: '{}'\n",
        source.replace('\n', " ")
    );
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    let runtime = Runtime::builder().file("_index.yaml", text).engine(engine).load()?;
    let found: i32 = runtime.call("n:f", (0,)).await?;
    assert!(found > 34 << 12, "{found}");
    Ok(())
}
