//! Tests of the sandbox: attempts of scripts to escape it, and their failures.

use std::cell::Cell;
use std::time::Duration;

use crisol_core::Value;
use crisol_lua::{EntryPoint, Failure, Program};

use crate::support::{Tested, program, run, run_for};

/// Scripts that never end by themselves; each evades its deadline in another way.
const ENDLESS: &[(&str, &str)] = &[
    ("a loop", "while true do end"),
    ("in pcall", "while true do pcall(function() while true do end end) end"),
    ("pcall of pcall", "local function f() while true do pcall(f) end end f()"),
    (
        "in xpcall",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
    ),
    ("a handler", "xpcall(error, function() while true do end end)"),
    ("in a coroutine", "coroutine.wrap(function() while true do end end)()"),
    (
        "in coroutines without end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    ),
    (
        "nested coroutines",
        "local function f() coroutine.wrap(f)() while true do end end while true do pcall(f) end",
    ),
    (
        "__close",
        "local function mk() return setmetatable({}, {__close = function() while true do end end}) end pcall(function() local a <close> = mk() error('x') end)",
    ),
    (
        "__close that doubles",
        "local mk local function h() local a <close> = mk() local b <close> = mk() while true do end end function mk() return setmetatable({}, {__close = h}) end h()",
    ),
    (
        "__close in sort",
        "local mk local function h() local a <close> = mk() local b <close> = mk() while true do end end function mk() return setmetatable({}, {__close = h}) end table.sort({1, 2, 3}, h)",
    ),
    (
        "__index",
        "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    ),
    (
        "__eq",
        "local m = {__eq = function() while true do end end} return setmetatable({}, m) == setmetatable({}, m)",
    ),
    ("__tostring", "tostring(setmetatable({}, {__tostring = function() while true do end end}))"),
    (
        "__tostring in format",
        "string.format('%s', setmetatable({}, {__tostring = function() while true do end end}))",
    ),
    (
        "__len in insert",
        "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)",
    ),
    (
        "__len in remove",
        "table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)",
    ),
    (
        "__index of concat",
        "table.concat(setmetatable({}, {__index = table.concat}), '', 1, 1 << 62)",
    ),
    ("move", "table.move({}, 1, 1 << 62, 2)"),
    ("an unsorting order", "table.sort({1, 2, 3}, function() while true do end end)"),
    ("a pattern", "string.find(string.rep('a', 40), string.rep('a*', 20) .. 'b')"),
    (
        "a pattern in pcall",
        "while true do pcall(string.find, string.rep('a', 60), string.rep('a*', 30) .. 'b') end",
    ),
    ("gsub of a function", "string.gsub('a', 'a', function() while true do end end)"),
    ("gmatch", "for _ in string.gmatch(string.rep('a', 60), string.rep('a*', 30) .. 'b') do end"),
    (
        "strings that add",
        "return 'a' + setmetatable({}, {__add = function() while true do end end})",
    ),
    ("goto", "::again:: goto again"),
    ("recursion", "local function f() return f() end f()"),
    ("strings that grow", "local s = 'x' while true do pcall(function() s = s .. s end) end"),
    ("waiting", "require('time').sleep(1e9)"),
    ("waiting in pcall", "while true do pcall(require('time').sleep, 1e9) end"),
    (
        "calls without end",
        "local funcs = require('funcs') while true do funcs.call('n:add', 1, 2) end",
    ),
    (
        "futures without end",
        "local funcs = require('funcs') while true do funcs.async('n:wait', 1000000) end",
    ),
];

#[tokio::test]
async fn endless_scripts_end_at_their_deadline() -> Tested {
    for (what, script) in ENDLESS {
        let entry = program(script, EntryPoint::Script).with_memory(32 << 20);
        let ended = tokio::time::timeout(Duration::from_secs(60), run_for(100, &entry, &[])).await;
        match ended {
            Ok(Err(Failure::Deadline { .. })) => {}
            other => return Err(format!("{what}: {other:?}").into()),
        }
    }
    Ok(())
}

/// On a full stack the hook that counts instructions fails with an ordinary error, which the script can
/// catch, so the whole script may run between such errors. The number of instructions per round decides where
/// the hook runs.
#[tokio::test]
async fn a_script_with_a_full_stack_ends_at_its_deadline() -> Tested {
    for pad in 0..8 {
        let pad = "x = x ".repeat(pad);
        let script = format!("local x local function f() while true do {pad} pcall(f) end end f()");
        let entry = program(&script, EntryPoint::Script).with_memory(256 << 20);
        // Enough time to fill the stack.
        let (ended, turns) = beside_others(100, &entry).await;
        assert!(matches!(ended, Err(Failure::Deadline { .. })), "{pad}: {ended:?}");
        assert_eq!(turns, 100, "{pad}: turns that others had");
    }
    Ok(())
}

#[tokio::test]
async fn a_script_that_computes_lets_others_run() -> Tested {
    let entry = program("coroutine.wrap(function() while true do end end)()", EntryPoint::Script);
    let (ended, turns) = beside_others(20, &entry).await;
    assert!(matches!(ended, Err(Failure::Deadline { .. })), "{ended:?}");
    assert_eq!(turns, 20, "turns that others had");
    Ok(())
}

/// Runs a script until another task of the same thread has had `most` turns, or for a minute. Returns the
/// number of turns that the task had meanwhile.
async fn beside_others(most: u32, program: &Program) -> (Result<Value, Failure>, u32) {
    let turns = Cell::new(0);
    let script = async { (run_for(60_000, program, &[]).await, turns.get()) };
    let others = async {
        while turns.get() < most {
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns.set(turns.get() + 1);
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
    };
    tokio::join!(script, others).0
}

#[tokio::test]
async fn memory_is_bounded() -> Tested {
    let hungry = [
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "return #string.rep('x', 1 << 29)",
        "return #string.rep('', 10, string.rep('x', 1 << 23))",
        "local s = 'x' while true do s = s .. s end",
        "return #(('x'):rep(1 << 20):gsub('x', ('y'):rep(1 << 16)))",
        "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
        "return table.concat({('x'):rep(1 << 23), ('x'):rep(1 << 23), ('x'):rep(1 << 23)})",
    ];
    for script in hungry {
        let entry = program(script, EntryPoint::Script).with_memory(16 << 20);
        let ended = run_for(3_600_000, &entry, &[]).await;
        assert!(
            matches!(ended, Err(Failure::Memory { allowed }) if allowed == 16 << 20),
            "{script}: {ended:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn nothing_leads_out_of_the_sandbox() -> Tested {
    let absent = [
        "io",
        "debug",
        "package",
        "dofile",
        "loadfile",
        "warn",
        "os.execute",
        "os.exit",
        "os.getenv",
        "os.remove",
        "os.rename",
        "os.tmpname",
        "os.setlocale",
        "string.dump",
        "coroutine.close",
        "loadstring",
        "ffi",
    ];
    for name in absent {
        assert_eq!(run(&format!("return {name} == nil")).await?, Value::Bool(true), "{name}");
    }
    let refused = [
        ("return load('\\27Lua')", "attempt to load a binary chunk"),
        ("return load(string.char(27) .. 'Lua', 'x', 'b')", "attempt to load a binary chunk"),
        ("return load(function() end)", "string expected"),
        ("setmetatable({}, {__gc = function() end})", "'__gc' is not available"),
        (
            "require('io')",
            "module `io` is not available: expected one of `funcs`, `json`, `log`, `time`",
        ),
        ("require('../x')", "is not available"),
        ("getmetatable('').__index = nil; return ('x'):len()", "attempt to"),
    ];
    for (script, expected) in refused {
        let ended = run(script).await;
        let text = format!("{ended:?}");
        assert!(ended.is_err() && text.contains(expected), "{script}: {text}");
    }
    Ok(())
}

/// Lua does not verify bytecode, so that of another compiler could do anything.
#[tokio::test]
async fn bytecode_is_refused_as_text_and_as_an_argument() -> Tested {
    let bytecode = mlua::Lua::new().load("return 7").into_function()?.dump(false);
    let script = "local code = ... return load(code, 'x', 'b')";
    for entry in [EntryPoint::Script, EntryPoint::Method("run".to_owned())] {
        let script = match entry {
            EntryPoint::Script => script.to_owned(),
            EntryPoint::Method(_) => format!("return {{run = function(...) {script} end}}"),
        };
        let program = program(&script, entry);
        // The second state is loaded from bytecode of our own.
        for _ in 0..2 {
            let ended = run_for(3_600_000, &program, &[Value::Bytes(bytecode.clone())]).await;
            let text = format!("{ended:?}");
            assert!(ended.is_err() && text.contains("attempt to load a binary chunk"), "{text}");
        }
    }
    let source = String::from_utf8_lossy(&bytecode).into_owned();
    for source in [&*source, "\x1bLua"] {
        let program = program(source, EntryPoint::Script);
        for _ in 0..2 {
            let ended = run_for(3_600_000, &program, &[]).await;
            assert!(matches!(ended, Err(Failure::Syntax(_))), "{ended:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn states_do_not_share_globals() -> Tested {
    let entry = program(
        "local seen = leaked\nleaked = true\nstring.upper = nil\nreturn {f = function() return {seen or false, leaked} end}",
        EntryPoint::Method("f".to_owned()),
    );
    let expected = Value::List(vec![Value::Bool(false), Value::Bool(true)]);
    for _ in 0..3 {
        assert_eq!(run_for(3_600_000, &entry, &[]).await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_script_is_loaded_within_its_time_and_without_calls() -> Tested {
    let ended =
        run_for(100, &program("while true do end", EntryPoint::Method("f".to_owned())), &[]).await;
    assert!(matches!(ended, Err(Failure::Deadline { .. })), "{ended:?}");
    let early = program("require('funcs').call('n:add', 1, 2)", EntryPoint::Method("f".to_owned()));
    let ended = run_for(3_600_000, &early, &[]).await;
    assert!(
        format!("{ended:?}").contains("cannot be called while the script is loaded"),
        "{ended:?}"
    );
    Ok(())
}
