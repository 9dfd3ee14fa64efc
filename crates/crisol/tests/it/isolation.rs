//! Isolation of calls: no call sees data of another, in any pool, on reused slots that keep their pages.

use crisol::Runtime;
use crisol::engine::Allocation;

use crate::support::{AppBuilder, Tested};

/// Guest with two functions. `hide` writes a secret to a megabyte of initial memory, a grown megabyte, a table and a
/// global. `seek` grows as far and counts everything that differs from the module's initial state.
const SECRETS: &str = include_str!("guests/secrets.wat");

/// Loads both functions of the guest in every pool, as `n:hide_POOL` and `n:seek_POOL`.
fn load(pools: &[(&str, &str)]) -> Tested<Runtime> {
    let mut text = String::new();
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
    Ok(AppBuilder::new("n").entries(&text).allocation(allocation).load()?)
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
            "(local.set $end (call $all))\n    (if (i64.ne",
            "(drop (call $hide (i32.const 9))) (local.set $end (call $all))\n    (if (i64.ne",
        );
    let entry = format!(
        "  - name: f\n    kind: function.wat\n    method: seek\n    source: '{}'\n",
        source.replace('\n', " ")
    );
    let runtime = AppBuilder::new("n").entries(&entry).load()?;
    let found: i32 = runtime.call("n:f", (0,)).await?;
    assert!(found > 34 << 12, "{found}");
    Ok(())
}
