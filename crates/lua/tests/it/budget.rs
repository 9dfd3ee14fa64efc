//! Tests of states within a shared memory budget.

use std::sync::Arc;
use std::time::Duration;

use crisol_core::{Budget, Value};
use crisol_lua::{EntryPoint, Failure, Module, Program, Sink, State};

use crate::support::{Tested, call, program, run_for, until};

const MIB: u64 = 1 << 20;

fn hungry(budget: &Budget) -> [Program; 6] {
    [
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
        "return #string.rep('x', 1 << 26)",
        "local s = 'x' while true do s = s .. s end",
        "return #(('x'):rep(1 << 18):gsub('x', ('y'):rep(1 << 10)))",
        "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
    ]
    .map(|script| program(script, EntryPoint::Script).with_budget(budget.clone()))
}

#[tokio::test]
async fn exhausting_the_shared_budget_is_a_failure_of_its_own() -> Tested {
    let budget = Budget::new(24 * MIB);
    let _others = budget.reserve(4 * MIB)?;
    for program in hungry(&budget) {
        let ended = run_for(60_000, &program, &[]).await;
        assert!(
            matches!(ended, Err(Failure::OverMemory(over)) if over.used <= 24 * MIB && over.limit == 24 * MIB),
            "{program:?}: {ended:?}"
        );
        until(|| budget.used() == 4 * MIB).await;
    }
    Ok(())
}

#[tokio::test]
async fn exceeding_its_own_limit_is_a_memory_failure() -> Tested {
    let budget = Budget::new(1024 * MIB);
    for program in hungry(&budget) {
        let ended = run_for(60_000, &program.with_memory(16 * MIB), &[]).await;
        assert!(matches!(ended, Err(Failure::Memory { .. })), "{ended:?}");
    }
    until(|| budget.used() == 0).await;
    Ok(())
}

#[tokio::test]
async fn idle_state_reserves_only_used_memory() -> Tested {
    let budget = Budget::new(256 * MIB);
    let keep = "local kept = {} return {f = function(mib) kept[#kept + 1] = ('x'):rep(mib << 20) return #kept end}";
    let program = program(keep, EntryPoint::Method("f".to_owned())).with_budget(budget.clone());
    let mut state = program.start(None).await?;
    let at_rest = budget.used();
    assert!((64 << 10..MIB).contains(&at_rest), "{at_rest}");
    for calls in 1..=3 {
        state.call(call(), vec![Value::Int(8)], None).await?;
        let grown = budget.used() - at_rest;
        // Garbage from the start may be collected meanwhile.
        assert!(grown.abs_diff(8 * MIB * calls) < MIB, "{calls}: {grown}");
    }
    drop(state);
    until(|| budget.used() == 0).await;
    Ok(())
}

#[tokio::test]
async fn a_large_argument_fits_where_memory_is_short() -> Tested {
    let budget = Budget::new(32 * MIB);
    let program = program("return #(...)", EntryPoint::Script).with_budget(budget.clone());
    let large = Value::Text("x".repeat(20 << 20));
    assert_eq!(run_for(60_000, &program, &[large]).await?, Value::Int(20 << 20));
    let too_large = Value::Text("x".repeat(40 << 20));
    let ended = run_for(60_000, &program, &[too_large]).await;
    assert!(matches!(ended, Err(Failure::OverMemory(_))), "{ended:?}");
    until(|| budget.used() == 0).await;
    Ok(())
}

#[tokio::test]
async fn a_script_can_catch_a_memory_error() -> Tested {
    let budget = Budget::new(16 * MIB);
    let script = "return select(2, pcall(string.rep, 'x', 1 << 26)), 1";
    let program = program(script, EntryPoint::Script).with_budget(budget);
    let text = run_for(60_000, &program, &[]).await?.to_string();
    assert!(text.contains("memory"), "{text}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_waiting_state_reserves_nothing_ahead() -> Tested {
    let budget = Budget::new(8 * MIB);
    let script = "require('time').sleep(60000)";
    let program = program(script, EntryPoint::Script).with_budget(budget.clone());
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut state: State = program.start(None).await?;
        // Left waiting.
        let mut running = Box::pin(async move { state.call(call(), Vec::new(), None).await });
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut running).await.is_err());
        waiting.push(running);
    }
    assert!(budget.used() < 4 * MIB, "{}", budget.used());
    drop(waiting);
    until(|| budget.used() == 0).await;
    Ok(())
}

/// A state that holds itself would never be freed.
#[tokio::test(start_paused = true)]
async fn states_dropped_at_any_moment_are_freed() -> Tested {
    let scripts = [
        "return 1",
        "error('x')",
        "local f = require('funcs').async('n:wait', 1000000) return 1",
        "require('time').sleep(1e9)",
        "require('funcs').call('n:wait', 1000000)",
        "require('funcs').async('n:wait', 1000000):await()",
        "coroutine.wrap(function() require('time').sleep(1e9) end)()",
        "kept = require('funcs').async('n:wait', 1000000) kept:await()",
    ];
    for script in scripts {
        let held = Arc::new(());
        let observed = Arc::downgrade(&held);
        let sink: Sink = Arc::new(move |_| drop(Arc::clone(&held)));
        let entry =
            Program::new("test.lua", script, EntryPoint::Script, sink).with_modules(Module::ALL);
        drop(run_for(100, &entry, &[]).await);
        drop(entry);
        until(|| observed.strong_count() == 0).await;
    }
    Ok(())
}
