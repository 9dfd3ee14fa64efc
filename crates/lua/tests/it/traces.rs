//! Tests of traces of uncaught errors: one line for the error, and one for each running function.

use crisol_core::{Trace, Value};
use crisol_lua::{EntryPoint, Failure};

use crate::support::{Tested, program, run, run_for};

async fn trace_of(source: &str, entry: EntryPoint) -> Tested<Trace> {
    match run_for(3_600_000, &program(source, entry), &[]).await {
        Err(Failure::Raised(trace)) => Ok(trace),
        other => Err(format!("{source}: {other:?}").into()),
    }
}

async fn shown(source: &str) -> Tested<String> {
    Ok(trace_of(source, EntryPoint::Script).await?.to_string())
}

#[tokio::test]
async fn a_trace_has_a_line_for_each_function_of_the_script() -> Tested {
    let source = "local function check(n)
  if n > 1 then error('too many') end
end
local shop = {}
function shop.total(n)
  check(n)
  return n
end
local function run()
  table.sort({2, 1}, function() return shop.total(2) + 1 end)
  return 1
end
return {run = run}";
    let trace = trace_of(source, EntryPoint::Method("run".to_owned())).await?;
    assert_eq!(
        trace.to_string(),
        "test.lua:2: too many
    0: check at test.lua:2
    1: total at test.lua:6
    2: less at test.lua:10
    3: run at test.lua:10"
    );
    Ok(())
}

#[tokio::test]
async fn a_nameless_function_is_shown_by_its_line() -> Tested {
    let source = "local function deep()\n  local x = nil .. 1\n  return x\nend\nreturn deep()";
    assert_eq!(
        shown(source).await?,
        "test.lua:2: attempt to concatenate a nil value\n    0: <function at line 1> at test.lua:2"
    );
    let source = "local t = setmetatable({}, {__index = function() error({}) end})\nprint(t.x)";
    let trace = shown(source).await?;
    assert!(trace.starts_with("table: 0x"), "{trace}");
    assert!(
        trace.ends_with("\n    0: metamethod index at test.lua:1\n    1: main chunk at test.lua:2"),
        "{trace}"
    );
    Ok(())
}

#[tokio::test]
async fn no_name_begins_a_line_or_reads_as_a_frame() -> Tested {
    for (source, frames) in [
        ("load('error(1)', '=a\\n    0: innocent at b')() return 1", 2),
        (
            "local t = {['f\\n    0: innocent at b'] = function() error(1) end} t['f\\n    0: innocent at b']() return 1",
            2,
        ),
        ("error('x\\nstack traceback:\\n\\t[C]: in innocent')", 1),
        ("error('x\\n    0: innocent at b')", 1),
        (
            "error(setmetatable({}, {__tostring = function() return 'x\\n    0: innocent at b' end}))",
            1,
        ),
    ] {
        let trace = trace_of(source, EntryPoint::Script).await?;
        let text = trace.to_string();
        assert_eq!((trace.frames().len(), text.lines().count()), (frames, 1 + frames), "{text}");
        assert!(!text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{text:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_trace_is_bounded_and_has_its_reason_on_a_full_stack() -> Tested {
    let deep = "local function down(n) if n == 0 then error('deep') end return 1 + down(n - 1) end return down(500)";
    let trace = trace_of(deep, EntryPoint::Script).await?;
    assert_eq!(trace.frames().len(), Trace::MAX_FRAMES);
    assert_eq!(trace.reason(), "test.lua:1: deep");
    let endless = "local function down(n) return 1 + down(n) end return down(1)";
    let trace = trace_of(endless, EntryPoint::Script).await?;
    assert!(trace.reason().contains("stack overflow"), "{trace}");
    assert!(trace.reason().len() < 300, "{trace}");
    Ok(())
}

#[tokio::test]
async fn a_caught_error_leaves_no_frames() -> Tested {
    let source = "local function inner() error('caught') end
pcall(inner)
local co = coroutine.wrap(function() error('thrown on') end)
co()
return 1";
    assert_eq!(shown(source).await?, "test.lua:3: thrown on\n    0: main chunk at test.lua:4");
    let value = run("return select(2, pcall(error, 'x\\n'))").await?;
    assert_eq!(value, Value::from("x\n"));
    Ok(())
}

#[tokio::test]
async fn variables_are_closed_when_an_error_passes() -> Tested {
    let source = "local log = {}
local function f()
  local held <close> = setmetatable({}, {__close = function() print('closed') end})
  error('boom')
end
f()
return 1";
    let (sink, lines) = crate::support::sink();
    let script = crisol_lua::Program::new("test.lua", source, EntryPoint::Script, sink);
    let ended = run_for(3_600_000, &script, &[]).await;
    assert!(matches!(ended, Err(Failure::Raised(_))), "{ended:?}");
    let seen = lines.lock().map_err(|_| "poisoned")?.clone();
    assert_eq!(seen, ["Print: closed"]);
    Ok(())
}

#[tokio::test]
async fn out_of_memory_is_reported_as_such_everywhere() -> Tested {
    for script in [
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(1 << 28)",
        "local co = coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end) co()",
    ] {
        let small = program(script, EntryPoint::Script).with_memory(4 << 20);
        let ended = run_for(3_600_000, &small, &[]).await;
        assert!(matches!(ended, Err(Failure::Memory { .. })), "{script}: {ended:?}");
    }
    Ok(())
}

#[test]
fn a_failure_has_the_line_it_names() {
    use std::time::Duration;

    let long = "folder/".repeat(20) + "script.lua";
    for name in [
        "source",
        "a:1: b.lua",
        &long,
        "59-bytes-59-bytes-59-bytes-59-bytes-59-bytes-59-bytes-59-byt.lua",
    ] {
        for (source, expected) in [
            ("\nreturn {", (Some(2), "unexpected symbol near <eof>")),
            ("local x = 1\n\nerror('boom')", (Some(3), "the script failed: boom")),
            ("error('boom', 0)", (None, "the script failed: boom")),
        ] {
            let sink: crisol_lua::Sink = std::sync::Arc::new(|_| {});
            let entry = EntryPoint::Method("f".to_owned());
            let program = crisol_lua::Program::new(name, source, entry, sink);
            let Err(failure) = program.check(Duration::from_secs(3600)) else { unreachable!() };
            let (line, text) = program.placed(&failure);
            assert_eq!((line, text.as_str()), expected, "{name}: {failure}");
        }
    }
}
