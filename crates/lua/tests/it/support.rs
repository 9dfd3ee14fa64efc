//! Runner for scripts, with functions that add, echo, fail, wait or do not exist.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crisol_core::{CallContext, CallError, Caller, Invoke, Overload, Reply, Value, invoke_fn};
use crisol_lua::{Call, EntryPoint, Failure, Module, Program, Sink};

pub(crate) type Tested<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Lines that scripts printed.
pub(crate) type Lines = Arc<Mutex<Vec<String>>>;

pub(crate) fn sink() -> (Sink, Lines) {
    let lines = Lines::default();
    let into = Arc::clone(&lines);
    let sink: Sink = Arc::new(move |output| {
        let line = format!("{:?}: {}", output.level, String::from_utf8_lossy(output.text));
        into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    });
    (sink, lines)
}

pub(crate) fn program(source: &str, entry: EntryPoint) -> Program {
    Program::new("test.lua", source, entry, sink().0).with_modules(Module::ALL)
}

pub(crate) fn functions() -> Arc<dyn Invoke> {
    Arc::new(invoke_fn(None, |id, context: CallContext, args: Vec<Value>| async move {
        match (id.name(), args.as_slice()) {
            ("add", [Value::Int(a), Value::Int(b)]) => Ok(Reply::new(a + b)),
            ("echo", [value]) => Ok(Reply::new(value.clone())),
            ("fail", [error]) => Err(CallError::function(&id, error.clone())),
            ("wait", [Value::Int(ms)]) => {
                tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
                Ok(Reply::new(*ms))
            }
            ("busy", _) => Err(CallError::saturated(&id, Overload::Queue { waiting: 1 })),
            ("chain", _) => {
                let chain: Vec<_> = context.chain().iter().map(ToString::to_string).collect();
                Ok(Reply::new(format!("{:?} {chain:?}", context.caller())))
            }
            _ => Err(CallError::not_found(id.as_str(), None)),
        }
    }))
}

pub(crate) fn call() -> Call {
    Call { invoke: functions(), context: CallContext::new(Caller::Lua) }
}

/// Returns a deadline `ms` milliseconds from now, by the clock of the test's runtime.
pub(crate) fn soon(ms: u64) -> Option<Instant> {
    (tokio::time::Instant::now().into_std()).checked_add(Duration::from_millis(ms))
}

/// Runs a script for at most `ms` milliseconds.
pub(crate) async fn run_for(ms: u64, program: &Program, args: &[Value]) -> Result<Value, Failure> {
    program.start(soon(ms)).await?.call(call(), args.to_vec(), soon(ms)).await
}

/// Waits until `holds` is true, for effects of threads that nothing joins.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

/// Runs a script.
pub(crate) async fn run(script: &str) -> Result<Value, Failure> {
    run_for(3_600_000, &program(script, EntryPoint::Script), &[]).await
}
