//! Sandboxed Lua instance, and the host functions of its prelude.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use mlua::thread::AsyncThread;
use mlua::{
    Error, Function, IntoLua, Lua, LuaOptions, LuaString, MultiValue, Result, StdLib, Table, Value,
};

use crate::chunk::Chunk;
use crate::clock::{Clock, PRELUDE_STATE, check_room, expired, set_expired};
use crate::modules::funcs::{AWAIT, NEW_ERROR, await_future};
use crate::modules::log::emit;
use crate::modules::wait::poll;
use crate::modules::{self, Module};
use crate::output::{Level, Sink};
use crate::pattern::{Capture, PatternError, scan};
use crate::trace::{PRELUDE, record_frames};

/// Registry key of the function through which the host calls functions of scripts.
const GUARD: &str = "crisol.guard";

/// The prelude, compiled once for all instances of the process.
static PRELUDE_CHUNK: Chunk =
    Chunk::new(Cow::Borrowed(PRELUDE), Cow::Borrowed(include_str!("prelude.lua")));

/// Creates a Lua instance and runs the prelude in it.
pub(crate) fn lua(clock: &Arc<Clock>, modules: &BTreeSet<Module>, sink: &Sink) -> Result<Lua> {
    let libs = StdLib::COROUTINE
        | StdLib::TABLE
        | StdLib::STRING
        | StdLib::UTF8
        | StdLib::MATH
        | StdLib::OS;
    // When this first handle is dropped, mlua collects garbage, in case a future owns the state in which it is stored.
    // None of ours does, so that happens here, where there is next to nothing to mark.
    let lua = Lua::new_with(libs, LuaOptions::new())?.clone();
    lua.gc_stop();
    clock.watch(&lua)?;
    let state = lua.create_table()?;
    state.raw_set("modules", lua.create_table()?)?;
    lua.set_named_registry_value(PRELUDE_STATE, &state)?;
    lua.set_app_data(Arc::clone(clock));
    modules::install(&lua, modules, sink)?;
    let user = lua.create_table()?;
    let host = functions(&lua, clock, modules, sink)?;
    let (new_error, guard, await_future): (Function, Function, Function) =
        PRELUDE_CHUNK.load(&lua)?.call((state, host, user, Lua::poll_pending()))?;
    lua.set_named_registry_value(NEW_ERROR, new_error)?;
    lua.set_named_registry_value(GUARD, guard)?;
    lua.set_named_registry_value(AWAIT, await_future)?;
    Ok(lua)
}

/// Starts a call of a script's function. Frames are recorded where it raises an uncaught error.
///
/// It uses a thread and not `call_async`, which closes the script's variables on drop and so runs code of the
/// script after its deadline.
pub(crate) fn begin(
    lua: &Lua,
    entry: &Function,
    mut args: MultiValue,
) -> Result<AsyncThread<MultiValue>> {
    args.push_front(Value::Function(entry.clone()));
    lua.create_thread(lua.named_registry_value(GUARD)?)?.into_async(args)
}

fn functions(
    lua: &Lua,
    clock: &Arc<Clock>,
    modules: &BTreeSet<Module>,
    sink: &Sink,
) -> Result<Table> {
    let host = lua.create_table()?;
    let sink = Arc::clone(sink);
    let print =
        lua.create_function(move |lua, line: LuaString| emit(lua, &sink, Level::Print, &line))?;
    host.raw_set("print", print)?;
    host.raw_set("memory", lua.create_function(|lua, ()| Ok(lua.used_memory() as f64 / 1024.0))?)?;
    host.raw_set("message", lua.create_function(|_, error: Error| Ok(message(&error)))?)?;
    host.raw_set("record_frames", lua.create_function(record_frames)?)?;
    host.raw_set("rep", lua.create_function(repeat)?)?;
    host.raw_set("find", lua.create_function(find_plain)?)?;
    host.raw_set("expand", lua.create_function(expand)?)?;
    host.raw_set("poll", lua.create_function(poll)?)?;
    host.raw_set("await_future", lua.create_function(await_future)?)?;
    let clock = Arc::clone(clock);
    let scan = lua.create_function(move |lua, args| scan_for(lua, &clock, args))?;
    host.raw_set("scan", scan)?;
    let check = |lua: &Lua, may_yield| Clock::of(lua)?.check(lua, may_yield);
    host.raw_set("check", lua.create_function(check)?)?;
    let known: Vec<_> = modules.iter().map(|module| format!("`{}`", module.name())).collect();
    let no_module = lua.create_function(move |_, name: LuaString| {
        let name = name.to_string_lossy();
        Ok(match known.as_slice() {
            [] => format!("module `{name}` is not available: this script has no modules"),
            known => {
                format!("module `{name}` is not available: expected one of {}", known.join(", "))
            }
        })
    })?;
    host.raw_set("no_module", no_module)?;
    Ok(host)
}

/// Returns the text of a host error, without the host's own context.
fn message(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } => message(cause),
        Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Implements `string.rep`. The C version loops without limit over an empty text.
fn repeat(
    lua: &Lua,
    (text, times, between): (LuaString, i64, Option<LuaString>),
) -> Result<LuaString> {
    let (text, between) = (text.as_bytes(), between.as_ref().map(LuaString::as_bytes));
    let between: &[u8] = between.as_deref().unwrap_or_default();
    if times <= 0 || text.is_empty() && between.is_empty() {
        return lua.create_string("");
    }
    let size = usize::try_from(times).ok().and_then(|times| {
        let text = text.len().checked_mul(times)?;
        text.checked_add(between.len().checked_mul(times - 1)?)
    });
    // A result that Lua cannot hold is not built outside of it either.
    let room = lua.create_string("").ok().and(size).filter(|size| *size <= 1 << 30);
    let size = room.ok_or_else(|| Error::runtime("resulting string too large"))?;
    check_room(lua, size)?;
    let clock = Clock::of(lua)?;
    let mut whole = Vec::with_capacity(size);
    for at in 0..times {
        if at > 0 {
            whole.extend_from_slice(between);
        }
        whole.extend_from_slice(&text);
        // Twice, since the result is copied into Lua as well.
        clock.charge(lua, 2 * (text.len() + between.len()))?;
    }
    lua.create_string(whole)
}

/// Implements `string.find` without a pattern.
fn find_plain(lua: &Lua, (text, what, from): (LuaString, LuaString, usize)) -> Result<MultiValue> {
    let (text, what) = (text.as_bytes(), what.as_bytes());
    let from = from.saturating_sub(1);
    let place = text.get(from..).and_then(|rest| memchr::memmem::find(rest, &what));
    let passed = place.unwrap_or(text.len().saturating_sub(from));
    Clock::of(lua)?.charge(lua, passed + what.len())?;
    Ok(match place {
        Some(at) => {
            let start = from + at + 1;
            MultiValue::from_vec(vec![integer(start), integer(start + what.len() - 1)])
        }
        None => MultiValue::from_vec(vec![Value::Nil]),
    })
}

fn integer(at: usize) -> Value {
    Value::Integer(i64::try_from(at).unwrap_or(i64::MAX))
}

type Search = (LuaString, LuaString, usize, i64, bool);

/// Returns the first match: its start, its end and its captures.
fn scan_for(
    lua: &Lua,
    clock: &Clock,
    (text, pattern, from, last, anchors): Search,
) -> Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let not_at = usize::try_from(last).ok();
    let spend = |units| clock.spend(units);
    match scan(&text, &pattern, from.saturating_sub(1), not_at, anchors, spend) {
        Ok(None) => Ok(MultiValue::from_vec(vec![Value::Nil])),
        Ok(Some(found)) => {
            let mut values = vec![integer(found.start + 1), integer(found.end)];
            for capture in found.captures {
                values.push(match capture {
                    Capture::Bytes(start, end) => {
                        let bytes = text.get(start..end).unwrap_or_default();
                        Value::String(lua.create_string(bytes)?)
                    }
                    Capture::Position(at) => integer(at),
                });
            }
            Ok(MultiValue::from_vec(values))
        }
        Err(PatternError::Pattern(message)) => Err(Error::runtime(message)),
        Err(PatternError::Expired) => {
            set_expired(lua)?;
            Err(expired())
        }
    }
}

/// Expands the `%1` in a replacement of `string.gsub`.
fn expand(lua: &Lua, args: MultiValue) -> Result<Value> {
    let mut args = args.into_iter();
    let mut next = || args.next().and_then(|value| lua.coerce_string(value).ok().flatten());
    let by = next().ok_or_else(|| Error::runtime("a replacement is a string"))?;
    let whole = next().ok_or_else(|| Error::runtime("a match is a string"))?;
    let captures: Vec<LuaString> = std::iter::from_fn(next).collect();
    let by = by.as_bytes();
    Clock::of(lua)?.charge(lua, by.len())?;
    let mut out = Vec::with_capacity(by.len());
    let mut bytes = by.iter();
    while let Some(&c) = bytes.next() {
        if c != b'%' {
            out.push(c);
            continue;
        }
        let capture = match bytes.next() {
            Some(b'%') => {
                out.push(b'%');
                continue;
            }
            Some(b'0') => Some(&whole),
            Some(b'1') if captures.is_empty() => Some(&whole),
            Some(digit @ b'1'..=b'9') => captures.get(usize::from(digit - b'1')),
            _ => return Err(Error::runtime("invalid use of '%' in replacement string")),
        };
        let capture =
            capture.ok_or_else(|| Error::runtime("invalid capture index in replacement string"))?;
        check_room(lua, out.len() + capture.as_bytes().len())?;
        out.extend_from_slice(&capture.as_bytes());
    }
    lua.create_string(out)?.into_lua(lua)
}
