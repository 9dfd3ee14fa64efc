//! Tests of `funcs`, `json`, `time` and `log`, and of a script's results.

use std::time::Duration;

use crisol_core::Value;
use crisol_lua::{EntryPoint, Failure, Module, Program};

use crate::support::{Tested, call, program, run, run_for, sink, soon, until};

async fn text(script: &str) -> Tested<String> {
    let script = format!("local funcs = require('funcs')\n{script}");
    match run(&script).await? {
        Value::Text(text) => Ok(text),
        other => Err(format!("{script}: {other}").into()),
    }
}

#[tokio::test]
async fn a_script_calls_functions() -> Tested {
    assert_eq!(
        text("local v, e = funcs.call('n:add', 6, 7) return v .. tostring(e)").await?,
        "13nil"
    );
    let users = "local u = funcs.call('n:echo', {{name = 'Alice', tags = {'a', 'b'}}}) return u[1].name .. #u[1].tags";
    assert_eq!(text(users).await?, "Alice2");
    assert_eq!(text("return funcs.call('n:chain')").await?, "Lua []");
    Ok(())
}

#[tokio::test]
async fn errors_come_as_the_second_value() -> Tested {
    assert_eq!(
        text("local v, e = funcs.call('n:fail', {code = 7}) return tostring(v) .. e.code").await?,
        "nil7"
    );
    let null = "local v, e = funcs.call('n:fail', nil) return e.kind .. ': ' .. e";
    assert_eq!(text(null).await?, "function: `n:fail` returned an error");
    let missing =
        "local v, e = funcs.call('n:none') return e.kind .. ' ' .. e.id .. ' ' .. tostring(e)";
    assert_eq!(text(missing).await?, "not-found n:none unknown function `n:none`");
    assert!(
        text("local _, e = funcs.call('none') return e.kind .. e.message")
            .await?
            .contains("is not an entry id")
    );
    let function =
        "local _, e = funcs.call('n:echo', {a = {1, print}}) return e.kind .. ' ' .. e.message";
    assert_eq!(
        text(function).await?,
        "invalid-input argument 1: at .a[2]: a function cannot be converted to a value"
    );
    let cycle = "local t = {} t.t = t local _, e = funcs.call('n:echo', t) return e.message";
    assert!(text(cycle).await?.contains("contain themselves"));
    let many = "local t = {('x'):rep(1 << 20)} for _ = 1, 40 do t = {t, t} end local _, e = funcs.call('n:echo', t) return e.message";
    assert!(text(many).await?.contains("too much text"));
    let large = "local v, e = funcs.call('n:echo', (require('json').decode('[1]'))) return type(v)";
    assert_eq!(text(large).await?, "table");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn futures_run_side_by_side() -> Tested {
    let started = tokio::time::Instant::now();
    let script = "local all = {} for i = 1, 10 do all[i] = funcs.async('n:wait', 1000) end
        local sum = 0 for _, f in ipairs(all) do sum = sum + f:await() + f:await() end return tostring(sum)";
    assert_eq!(text(script).await?, "20000");
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_waiting_coroutine_yields_only_its_own_values() -> Tested {
    let script = "local co = coroutine.wrap(function(a)
            local b = funcs.call('n:wait', 10)
            local inner = coroutine.wrap(function() coroutine.yield(funcs.call('n:wait', 5)) return 'in' end)
            local c, d = inner(), inner()
            local e = coroutine.yield(a + b + c)
            require('time').sleep(20)
            return d .. e
        end)
        return co(1) .. co('!')";
    assert_eq!(text(script).await?, "16in!");
    let dead = "local co = coroutine.create(function() error('x', 0) end)
        local ok, e = coroutine.resume(co) return tostring(ok) .. e .. coroutine.status(co)";
    assert_eq!(text(dead).await?, "falsexdead");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_waiting_script_blocks_no_thread() -> Tested {
    // One thread, and a hundred scripts that each wait ten seconds of a paused clock at once.
    let started = tokio::time::Instant::now();
    let entry = program("return require('funcs').call('n:wait', 10000)", EntryPoint::Script);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let entry = entry.clone();
        all.spawn(async move { entry.start(None).await?.call(call(), Vec::new(), None).await });
    }
    while let Some(ended) = all.join_next().await {
        assert_eq!(ended??, Value::Int(10_000));
    }
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn results_and_errors_of_a_function() -> Tested {
    let source = "return {
        add = function(a, b) return a + b end,
        refuse = function(why) return nil, {reason = why} end,
        raise = function() error('boom') end,
        nothing = function() end,
        odd = function() return print end,
    }";
    let of = |method: &str| program(source, EntryPoint::Method(method.to_owned()));
    let two = [Value::Int(6), Value::Int(7)];
    assert_eq!(run_for(3_600_000, &of("add"), &two).await?, Value::Int(13));
    assert_eq!(run_for(3_600_000, &of("nothing"), &[]).await?, Value::Null);
    match run_for(3_600_000, &of("refuse"), &["no".into()]).await {
        Err(Failure::Returned(error)) => assert_eq!(error.get("reason"), Some(&"no".into())),
        other => return Err(format!("{other:?}").into()),
    }
    let raised = run_for(3_600_000, &of("raise"), &[]).await;
    assert!(
        matches!(&raised, Err(Failure::Raised(trace)) if trace.to_string() == "test.lua:4: boom\n    0: raise at test.lua:4"),
        "{raised:?}"
    );
    let odd = run_for(3_600_000, &of("odd"), &[]).await;
    assert!(matches!(odd, Err(Failure::Result(_))), "{odd:?}");
    let missing = run_for(3_600_000, &of("ad"), &[]).await;
    assert!(
        format!("{missing:?}").contains("`add`, `nothing`, `odd`, `raise`, `refuse`"),
        "{missing:?}"
    );
    let syntax = run_for(3_600_000, &program("return {", EntryPoint::Script), &[]).await;
    assert!(matches!(syntax, Err(Failure::Syntax(_))), "{syntax:?}");
    let single = program("return function(a) return -a end", EntryPoint::Method("any".to_owned()));
    assert_eq!(run_for(3_600_000, &single, &[Value::Int(1)]).await?, Value::Int(-1));
    Ok(())
}

#[tokio::test]
async fn lines_go_to_the_sink_and_modules_are_those_granted() -> Tested {
    let (sink, lines) = sink();
    let source =
        "print(1, 'two', nil) require('log').warn('careful') return pcall(require, 'json')";
    let entry = Program::new("x", source, EntryPoint::Script, sink).with_modules([Module::Log]);
    assert_eq!(run_for(3_600_000, &entry, &[]).await?, Value::Bool(false));
    let seen = lines.lock().map_err(|_| "poisoned")?.clone();
    assert_eq!(seen, ["Print: 1\ttwo\tnil", "Warn: careful"]);
    Ok(())
}

#[tokio::test]
async fn dropping_a_call_drops_the_calls_it_began() -> Tested {
    struct Held(std::sync::Arc<()>);
    let alive = std::sync::Arc::new(());
    let counted = std::sync::Arc::clone(&alive);
    let invoke = std::sync::Arc::new(crisol_core::invoke_fn(None, move |_, _, _| {
        let held = Held(std::sync::Arc::clone(&counted));
        async move {
            let _held = &held.0;
            std::future::pending().await
        }
    }));
    let mut of_call = call();
    of_call.invoke = invoke;
    let source =
        "for _ = 1, 3 do local f = require('funcs').async('n:x') keep = {keep, f} end return 1";
    let mut state = program(source, EntryPoint::Script).start(None).await?;
    assert_eq!(state.call(of_call.clone(), Vec::new(), None).await?, Value::Int(1));
    let waiting = program("require('funcs').call('n:x')", EntryPoint::Script);
    let ended = waiting.start(None).await?.call(of_call.clone(), Vec::new(), soon(50)).await;
    assert!(matches!(ended, Err(Failure::Deadline { .. })), "{ended:?}");
    drop(of_call);
    while std::sync::Arc::strong_count(&alive) > 1 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn fields_of_an_error_can_be_called_and_a_future_asked() -> Tested {
    let error = "local _, e = funcs.call('n:none')
        return e.kind .. ' ' .. e:kind() .. ' ' .. tostring(e.message == e:message()) .. ' ' .. tostring(e:retryable())";
    assert_eq!(text(error).await?, "not-found not-found true false");
    let busy =
        "local _, e = funcs.call('n:busy') return e:kind() .. ' ' .. tostring(e:retryable())";
    assert_eq!(text(busy).await?, "saturated true");
    let no_call = "return tostring(pcall(function() return ('x')() end)) .. tostring(pcall(function() return ('x')({}) end))";
    assert_eq!(text(no_call).await?, "falsefalse");
    let future = "local f = funcs.async('n:wait', 1000)
        local before = tostring(f:is_complete()) .. ' ' .. select('#', f:result())
        local v = f:await()
        return before .. ' ' .. tostring(f:is_complete()) .. ' ' .. v .. ' ' .. (f:result()) .. ' ' .. tostring(f:cancel())";
    assert_eq!(text(future).await?, "false 0 true 1000 1000 false");
    let cancelled = "local f = funcs.async('n:wait', 1e9 // 1 | 0)
        local ended = f:cancel()
        local v, e = f:await()
        return tostring(ended) .. ' ' .. tostring(f:is_complete()) .. ' ' .. tostring(v) .. ' ' .. e.kind";
    assert_eq!(text(cancelled).await?, "true true nil cancelled");
    Ok(())
}

/// Functions that never answer, and a counter of the running ones.
fn pending() -> (std::sync::Arc<dyn crisol_core::Invoke>, std::sync::Arc<()>) {
    let running = std::sync::Arc::new(());
    let counted = std::sync::Arc::clone(&running);
    let invoke = crisol_core::invoke_fn(None, move |_, _, args: Vec<Value>| {
        let held = (std::sync::Arc::clone(&counted), args);
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    (std::sync::Arc::new(invoke), running)
}

#[tokio::test]
async fn large_calls_are_made_a_few_at_a_time() -> Tested {
    let (invoke, running) = pending();
    let mut of_call = call();
    of_call.invoke = invoke;
    let source = "local text = ('x'):rep(1 << 20)
        for _ = 1, 100 do keep = {keep, funcs.async('n:x', text)} end
        for _ = 1, 50 do keep = {keep, funcs.async('n:x', 'small')} end
        return funcs.call('n:x')";
    let mut state = program(source, EntryPoint::Script).start(None).await?;
    let run = state.call(of_call.clone(), Vec::new(), None);
    // Three texts of one MiB, 50 small ones, and the last call.
    let expected = 3 + 50 + 1;
    let reached = until(|| std::sync::Arc::strong_count(&running) - 2 == expected);
    tokio::select! {
        ended = run => return Err(format!("{ended:?}").into()),
        () = reached => {}
    }
    Ok(())
}

#[tokio::test]
async fn pending_arguments_count_as_memory_of_the_script() -> Tested {
    let budget = crisol_core::Budget::unlimited();
    let (invoke, _running) = pending();
    let mut of_call = call();
    of_call.invoke = invoke;
    let source = "local text, kept = ('x'):rep(1 << 20), {}
        for n = 1, 1000 do
          kept[n] = funcs.async('n:x', text)
          local value, err = kept[n]:result()
          if err then return {n, err.kind, err.message} end
        end";
    let mut state = program(source, EntryPoint::Script)
        .with_memory(16 << 20)
        .with_budget(budget.clone())
        .start(None)
        .await?;
    let told = state.call(of_call, Vec::new(), None).await?;
    let message = "arguments of started calls use too much memory: await fewer at a time";
    assert_eq!(told, Value::List(vec![Value::Int(16), "limit".into(), message.into()]));
    drop(state);
    until(|| budget.used() == 0).await;
    Ok(())
}

#[tokio::test]
async fn outcomes_count_as_memory_and_unused_ones_are_collected() -> Tested {
    let budget = crisol_core::Budget::unlimited();
    let most = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (seen, of) = (std::sync::Arc::clone(&most), budget.clone());
    let mut of_call = call();
    of_call.invoke = std::sync::Arc::new(crisol_core::invoke_fn(None, move |_, _, _| {
        seen.fetch_max(of.used(), std::sync::atomic::Ordering::Relaxed);
        async { Ok(crisol_core::Reply::new(Value::from("x".repeat(1 << 20)))) }
    }));
    let run = |source: &'static str| {
        let program = program(source, EntryPoint::Script).with_memory(32 << 20);
        let (program, of_call) = (program.with_budget(budget.clone()), of_call.clone());
        async move { program.start(None).await?.call(of_call, Vec::new(), None).await }
    };
    // Thousands of awaited and dropped outcomes: 4 GiB if they were kept.
    let awaited = "local n = 0 for _ = 1, 4096 do n = n + #funcs.call('n:x') end return n";
    assert_eq!(run(awaited).await?, Value::Int(4 << 30));
    let most = most.load(std::sync::atomic::Ordering::Relaxed);
    assert!(most < 128 << 20, "{most}");
    let kept = "local all, kinds = {}, {}
        for n = 1, 64 do all[n] = funcs.async('n:x') end
        for n = 1, 64 do local value, err = all[n]:await() kinds[err and err.kind or 'value'] = true end
        return kinds";
    let kinds = run(kept).await?;
    assert_eq!((kinds.get("limit"), kinds.get("value")), (Some(&true.into()), Some(&true.into())));
    until(|| budget.used() == 0).await;
    Ok(())
}
