//! Tests of work that instruction counts do not show: one call or instruction over everything that a script
//! holds.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crisol_core::Value;
use crisol_lua::{EntryPoint, Failure, Module, Output, Program, Sink};
use tokio::sync::Notify;

use crate::support::{Tested, call, run, soon};

/// Scripts that create something large, report it, and then work on it until they are stopped.
const HEAVY: &[(&str, &str, &str)] = &[
    // Patterns.
    ("a set, found", "local s, p = a(1 << 20), '[' .. ('b'):rep(1 << 20) .. ']'", "s:find(p)"),
    ("a set, optional", "local s, p = a(1 << 20), '[' .. ('b'):rep(1 << 20) .. ']?c'", "s:find(p)"),
    (
        "a set, repeated",
        "local s, p = a(1 << 20), '[' .. ('b'):rep(1 << 16) .. 'a]*c'",
        "s:match(p)",
    ),
    (
        "a set, shortest",
        "local s, p = a(1 << 20), '[' .. ('b'):rep(1 << 16) .. 'a]-c'",
        "s:match(p)",
    ),
    ("a frontier", "local s, p = a(1 << 20), '%f[' .. ('b'):rep(1 << 20) .. ']'", "s:find(p)"),
    ("a back reference", "local s = a(1 << 20)", "s:find('(a*)%1b')"),
    ("balanced", "local s = ('('):rep(1 << 20)", "s:find('%b()')"),
    ("backtracking", "local s = a(60)", "s:find(('a*'):rep(30) .. 'b')"),
    ("gsub by a text", "local s = a(1 << 20)", "s:gsub('a', 'b')"),
    ("gsub by a function", "local s = a(1 << 20)", "s:gsub('a', function() return 'b' end)"),
    ("gsub by a long text", "local s = a(1 << 10)", "s:gsub('a', ('b'):rep(1 << 10))"),
    ("gmatch", "local s = a(1 << 20)", "for _ in s:gmatch('a') do end"),
    ("find, plain", "local s = a(1 << 22)", "s:find('b', 1, true)"),
    // Texts.
    ("upper", "local s = a(1 << 22)", "s:upper()"),
    ("lower", "local s = a(1 << 22)", "s:lower()"),
    ("reverse", "local s = a(1 << 22)", "s:reverse()"),
    ("rep", "", "('x'):rep(1 << 22)"),
    ("rep of a long text", "local s = a(1 << 20)", "s:rep(4, s)"),
    ("sub", "local s = a(1 << 22)", "s:sub(2)"),
    ("byte", "local s = a(1 << 22)", "select('#', s:byte(1, 200000))"),
    ("char", "local t = {} for i = 1, 200000 do t[i] = 97 end", "string.char(table.unpack(t))"),
    ("format %s", "local s = a(1 << 22)", "('%s%s'):format(s, s)"),
    ("format %q", "local s = ('\\0'):rep(1 << 20)", "('%q'):format(s)"),
    (
        "format of much",
        "local s = ('%d'):rep(200) local t = {} for i = 1, 200 do t[i] = i end",
        "s:format(table.unpack(t))",
    ),
    ("pack", "local p = ('!1'):rep(1 << 20)", "string.pack(p)"),
    ("pack, padded", "", "string.pack('c4000000', '')"),
    ("packsize", "local p = ('b'):rep(1 << 20)", "string.packsize(p)"),
    ("unpack", "local p = ('!1'):rep(1 << 20)", "string.unpack(p, '')"),
    ("less than", "local s, t = a(1 << 22) .. 'a', a(1 << 22) .. 'b'", "n = s < t"),
    ("equal", "local s, t = a(1 << 22) .. 'a', a(1 << 22) .. 'b'", "n = s == t"),
    ("concat", "local s = a(1 << 22)", "n = s .. 'x'"),
    ("a long key", "local s, t = a(1 << 22), {}", "n = t[s .. 'x']"),
    (
        "a long key in a chain",
        "local s, t = a(1 << 20) .. 'a', nil for _ = 1, 50 do t = setmetatable({[s] = 1}, {__index = t}) end local k = a(1 << 20) .. 'b'",
        "n = t[k]",
    ),
    ("tonumber", "local s = ('1'):rep(1 << 22)", "tonumber(s)"),
    ("a text as a number", "local s = ('1'):rep(1 << 22)", "n = s + 1"),
    ("utf8.len", "local s = ('é'):rep(1 << 21)", "utf8.len(s)"),
    ("utf8.offset", "local s = ('é'):rep(1 << 21)", "utf8.offset(s, 1 << 21)"),
    ("utf8.codepoint", "local s = ('é'):rep(1 << 21)", "select('#', utf8.codepoint(s, 1, 200000))"),
    ("print", "local s = a(1 << 20)", "print(s)"),
    ("log", "local s = a(1 << 20)", "require('log').warn(s)"),
    // Tables.
    ("insert", "local t = items(1 << 20)", "table.insert(t, 1, 0) table.remove(t, 1)"),
    ("concat of a table", "local t = items(1 << 20)", "table.concat(t)"),
    ("concat of large items", "local s = a(1 << 20)", "table.concat({s, s, s, s}, s)"),
    ("unpack of a table", "local t = items(200000)", "select('#', table.unpack(t))"),
    ("pack of a table", "local t = items(200000)", "table.pack(table.unpack(t))"),
    ("move", "local t = items(1 << 20)", "table.move(t, 1, #t, 2)"),
    ("sort", "local t = items(1 << 16)", "table.sort(t, function(x, y) return x > y end)"),
    (
        "next of an emptied table",
        "local t = items(1 << 20) for i = 1, #t do t[i] = nil end",
        "next(t)",
    ),
    (
        "pairs of an emptied table",
        "local t = items(1 << 20) for i = 1, #t do t[i] = nil end",
        "for _ in pairs(t) do end",
    ),
    (
        "a table that is always full",
        "local t, n = {}, 1 << 18 for i = 1, n do t['k' .. i] = i end",
        "t['k' .. n] = nil n = n + 1 t['k' .. n] = n",
    ),
    (
        "arguments",
        "local t = items(200000) local function f(...) return select('#', ...) end",
        "f(table.unpack(t))",
    ),
    (
        "garbage",
        "local t = {} for i = 1, 1 << 17 do t[i] = {} end",
        "local x = {} for i = 1, 100 do x[i] = {} end",
    ),
    (
        "too much memory, caught",
        "local s = a(1 << 22)",
        "pcall(function() local t = {} while true do t[#t + 1] = s .. #t end end)",
    ),
    // Documents and code.
    ("json.decode of objects", "local s = '[' .. ('{},'):rep(1 << 18) .. '0]'", "json.decode(s)"),
    ("json.decode of numbers", "local s = '[' .. ('1,'):rep(1 << 20) .. '0]'", "json.decode(s)"),
    ("json.decode of a text", "local s = '\"' .. a(1 << 22) .. '\"'", "json.decode(s)"),
    ("json.decode of no JSON", "local s = (' '):rep(1 << 22) .. 'x'", "json.decode(s)"),
    ("json.encode of items", "local t = items(1 << 18)", "json.encode(t)"),
    ("json.encode of a text", "local t = ('\\n'):rep(1 << 22)", "json.encode(t)"),
    (
        "json.encode of one table many times",
        "local t = {a(1 << 16)} for _ = 1, 9 do t = {t, t} end",
        "json.encode(t)",
    ),
    ("an argument of a call", "local t = items(1 << 18)", "require('funcs').async('n:echo', t)"),
    ("load", "local s = 'return 0' .. (' and 0'):rep(1 << 15)", "load(s)"),
    (
        "load of labels",
        "local t = {} for i = 1, 1 << 13 do t[i] = '::l' .. i .. '::' end local s = table.concat(t)",
        "load(s)",
    ),
    ("load of jumps", "local s = ('goto l '):rep(1 << 13) .. '::l::'", "load(s)"),
    ("os.date", "local s = ('%c'):rep(500)", "os.date(s)"),
    // Coroutines created while the state was small.
    (
        "coroutines",
        "local all = {} for i = 1, 1000 do all[i] = coroutine.create(function() local s = coroutine.yield() while true do for _ = 1, 30 do n = s .. 'x' end coroutine.yield() end end) coroutine.resume(all[i]) end local s, i = a(1 << 22), 0",
        "i = i % 1000 + 1 coroutine.resume(all[i], s)",
    ),
];

const BEFORE: &str = "local json, n = require('json')
    local function a(n) return ('a'):rep(n) end
    local function items(n) local t = {} for i = 1, n do t[i] = i end return t end\n";

/// The clock stands still, moves to the deadline while the script works, and stands still again. A script
/// that ends then stopped by itself, and was not left behind.
#[tokio::test]
async fn heavy_work_ends_at_the_deadline() -> Tested {
    let mut wrong = Vec::new();
    for (what, before, work) in HEAVY {
        let ready = Arc::new(Notify::new());
        let at_work = Arc::clone(&ready);
        let sink: Sink = Arc::new(move |output| {
            if output.text == b"at work" {
                at_work.notify_one();
            }
        });
        let source = format!(
            "{BEFORE}{before}\nprint('at work')\nwhile true do {work_} end",
            work_ = statement(work)
        );
        let program = Program::new("test.lua", source, EntryPoint::Script, sink)
            .with_modules(Module::ALL)
            .with_memory(256 << 20);
        let mut state = program.start(None).await?;
        tokio::time::pause();
        let running = async {
            let ended = state.call(call(), Vec::new(), soon(1000)).await;
            // Also if it ends before it starts its work.
            ready.notify_one();
            ended
        };
        let moved_on = async {
            ready.notified().await;
            tokio::time::advance(Duration::from_millis(1000)).await;
        };
        let (ended, ()) = tokio::join!(running, moved_on);
        tokio::time::resume();
        match ended {
            Err(Failure::Deadline { .. }) if !state.is_running() => {}
            other => {
                wrong.push(format!("{what}: {other:?}, still running: {}", state.is_running()))
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(HEAVY.len() >= 40);
    Ok(())
}

/// Turns an expression into a statement.
fn statement(work: &str) -> String {
    let is_statement = ["for ", "n = ", "table.insert", "t[", "local ", "i = "]
        .iter()
        .any(|start| work.starts_with(start));
    if is_statement { work.to_owned() } else { format!("local _ = {work}") }
}

/// The runtime's only thread stays free while a script computes, however long one instruction takes. The
/// script here stays inside an instruction until another task of that thread has run.
#[tokio::test]
async fn a_computing_script_blocks_no_serving_thread() -> Tested {
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let sink: Sink = Arc::new(move |_: Output<'_>| {
        let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        // The timeout ends a test that hangs.
        let _ = receiver.recv_timeout(Duration::from_secs(60));
    });
    let program = Program::new("test.lua", "print() return 1", EntryPoint::Script, sink);
    let mut state = program.start(None).await?;
    let other = async {
        tokio::task::yield_now().await;
        sender.send(())
    };
    let (ended, sent) = tokio::join!(state.call(call(), Vec::new(), soon(50_000)), other);
    sent?;
    assert_eq!(ended?, Value::Int(1));
    Ok(())
}

/// A caller does not wait for an instruction that cannot be interrupted, and the state reports that it still
/// runs.
#[tokio::test(start_paused = true)]
async fn a_caller_does_not_wait_for_an_overlong_instruction() -> Tested {
    let (sender, receiver) = mpsc::channel::<()>();
    let receiver = Mutex::new(receiver);
    let entered = Arc::new(Notify::new());
    let inside = Arc::clone(&entered);
    let sink: Sink = Arc::new(move |_: Output<'_>| {
        inside.notify_one();
        let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = receiver.recv_timeout(Duration::from_secs(60));
    });
    let program = Program::new("test.lua", "print() return 1", EntryPoint::Script, sink);
    let mut state = program.start(None).await?;
    let moved_on = async {
        entered.notified().await;
        tokio::time::advance(Duration::from_secs(2)).await;
    };
    let (ended, ()) = tokio::join!(state.call(call(), Vec::new(), soon(1000)), moved_on);
    assert!(matches!(ended, Err(Failure::Deadline { .. })), "{ended:?}");
    assert!(state.is_running());
    sender.send(())?;
    state.settle().await;
    assert!(!state.is_running());
    Ok(())
}

#[tokio::test]
async fn dropping_a_call_stops_its_script() -> Tested {
    let entered = Arc::new(Notify::new());
    let inside = Arc::clone(&entered);
    let sink: Sink = Arc::new(move |_: Output<'_>| inside.notify_one());
    let program = Program::new("test.lua", "print() while true do end", EntryPoint::Script, sink);
    let mut state = program.start(None).await?;
    tokio::select! {
        _ = state.call(call(), Vec::new(), None) => return Err("it ended".into()),
        () = entered.notified() => {}
    }
    state.settle().await;
    assert!(!state.is_running());
    Ok(())
}

#[tokio::test]
async fn decoded_and_encoded_json_counts_as_memory() -> Tested {
    let budget = crisol_core::Budget::unlimited();
    for (script, most) in [
        ("return require('json').decode('[' .. ('{},'):rep(1 << 20) .. '0]')", 16_u64),
        ("return require('json').decode('\"' .. ('x'):rep(1 << 24) .. '\"')", 24),
        (
            "local t = {('x'):rep(1 << 20)} for _ = 1, 8 do t = {t, t} end return #require('json').encode(t)",
            16,
        ),
    ] {
        let sink: Sink = Arc::new(|_| {});
        let program = Program::new("test.lua", script, EntryPoint::Script, sink)
            .with_modules(Module::ALL)
            .with_memory(most << 20)
            .with_budget(budget.clone());
        let ended = program.start(None).await?.call(call(), Vec::new(), None).await;
        let refused = matches!(&ended, Err(Failure::Memory { .. }))
            || matches!(&ended, Err(Failure::Raised(trace)) if trace.reason().contains("too much text"));
        assert!(refused, "{script}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_error_is_one_line_of_bounded_length() -> Tested {
    for script in
        ["error('boom\\n2026 ERROR forged\\27[31m')", "error(('x'):rep(1 << 20) .. '\\r')"]
    {
        match run(script).await {
            Err(Failure::Raised(trace)) => {
                let text = trace.reason();
                assert!(
                    !text.contains(char::is_control) && text.len() < 9000,
                    "{} bytes: {text:?}",
                    text.len()
                );
            }
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(())
}
