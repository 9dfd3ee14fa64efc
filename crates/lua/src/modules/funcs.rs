//! `funcs`: calls to functions. `call` waits for the answer; `async` begins a call and gives a future.

use std::sync::atomic::{AtomicBool, Ordering};

use crisol_core::{Args, CallError, EntryId, ErrorKind, Value};
use mlua::{
    Error, Function, Lua, MultiValue, Result, Table, UserData, UserDataMethods, UserDataRef,
    Value as LuaValue,
};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::call::{Call, Current};
use crate::gate::Clock;
use crate::host::NEW_ERROR;
use crate::values::{Reader, write};

/// What came of a call, free of Lua: it may be asked for more than once.
type Outcome = std::result::Result<Value, Unanswered>;

#[derive(Debug, Clone)]
enum Unanswered {
    /// The function's own error.
    Function { id: String, error: Value },
    /// Any other.
    Failed { kind: &'static str, message: String, id: String, retryable: bool },
}

impl Unanswered {
    /// An error that is the same when the call is made again.
    fn lasting(kind: &'static str, message: String, id: String) -> Self {
        Self::Failed { kind, message, id, retryable: false }
    }
}

pub(super) fn module(lua: &Lua) -> Result<Table> {
    let funcs = lua.create_table()?;
    let call = lua.create_async_function(|lua, (id, args): (String, MultiValue)| async move {
        // A task of its own: a chain of calls is then no deeper on any stack than one of them.
        begin(&lua, (id, args))?.awaited(&lua).await
    })?;
    funcs.raw_set("call", call)?;
    funcs.raw_set("async", lua.create_function(begin)?)?;
    // Methods are made with the first future, and by then `coroutine.yield` would be the prelude's.
    drop(lua.create_userdata(Pending::ended(Ok(Value::Null)))?);
    Ok(funcs)
}

/// A call with everything that it takes.
struct Ready {
    call: Call,
    id: EntryId,
    args: Vec<Value>,
}

impl Ready {
    async fn run(self) -> Outcome {
        let Call { invoke, context } = self.call;
        let reply = invoke.invoke(&self.id, context, Args::Values(self.args)).await;
        let value = reply.map_err(|error| unanswered(&self.id, &error))?.to_value();
        value.map_err(|error| {
            Unanswered::lasting("unexpected-result", error.to_string(), self.id.to_string())
        })
    }
}

/// Scripts belong to the app, so they may know all of an error.
fn unanswered(id: &EntryId, error: &CallError) -> Unanswered {
    let id = id.to_string();
    match error {
        CallError::Function { error, .. } => Unanswered::Function { id, error: (**error).clone() },
        other => {
            let (kind, message) = (other.kind(), crisol_core::chain(other));
            // Nothing is wrong with the call itself.
            let retryable = matches!(kind, ErrorKind::Saturated | ErrorKind::Unavailable);
            Unanswered::Failed { kind: kind.name(), message, id, retryable }
        }
    }
}

/// Reads what a script asks for. The outer error is one of the script's own code.
fn prepare(
    lua: &Lua,
    id: String,
    args: MultiValue,
) -> Result<std::result::Result<Ready, Unanswered>> {
    let call = Clock::of(lua)?.current().as_ref().and_then(Current::call);
    let call = call.ok_or_else(|| {
        Error::runtime("functions can be called from a function, not while the script is loaded")
    })?;
    let invalid = |message: String| Unanswered::lasting("invalid-input", message, id.clone());
    let entry: EntryId = match id.parse() {
        Ok(entry) => entry,
        Err(error) => return Ok(Err(invalid(format!("{error}")))),
    };
    let reader = Reader::new(lua)?;
    let mut values = Vec::with_capacity(args.len());
    for (at, value) in args.iter().enumerate() {
        match reader.read(value) {
            Ok(value) => values.push(value),
            Err(error) => return Ok(Err(invalid(format!("argument {}: {error}", at + 1)))),
        }
    }
    Ok(Ok(Ready { call, id: entry, args: values }))
}

/// `value, nil` or `nil, err`.
fn results(lua: &Lua, outcome: &Outcome) -> Result<MultiValue> {
    let pair = |value, err| Ok(MultiValue::from_vec(vec![value, err]));
    let failed = |kind: &str, message: &str, id: &str, retryable: bool| {
        let new: Function = lua.named_registry_value(NEW_ERROR)?;
        pair(LuaValue::Nil, new.call((kind, message, id, retryable))?)
    };
    match outcome {
        Ok(value) => match write(lua, value) {
            Ok(value) => pair(value, LuaValue::Nil),
            Err(Error::RuntimeError(message)) => failed("unexpected-result", &message, "", false),
            Err(other) => Err(other),
        },
        // An error without payload would read as success.
        Err(Unanswered::Function { id, error: Value::Null }) => {
            failed("function", &format!("`{id}` answered with its error"), id, false)
        }
        Err(Unanswered::Function { error, .. }) => pair(LuaValue::Nil, write(lua, error)?),
        Err(Unanswered::Failed { kind, message, id, retryable }) => {
            failed(kind, message, id, *retryable)
        }
    }
}

/// A call that has begun.
struct Pending {
    outcome: watch::Receiver<Option<Outcome>>,
    /// The task that makes the call, if one does.
    task: Option<AbortHandle>,
    cancelled: AtomicBool,
}

impl Drop for Pending {
    /// A future that nobody holds any longer is of no use to anybody.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Pending {
    fn ended(outcome: Outcome) -> Self {
        let (_, outcome) = watch::channel(Some(outcome));
        Self { outcome, task: None, cancelled: AtomicBool::new(false) }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn is_complete(&self) -> bool {
        // Without an outcome its task is gone.
        self.is_cancelled()
            || self.outcome.borrow().is_some()
            || self.outcome.has_changed().is_err()
    }

    /// Ends a call that has no outcome yet; whether there was one to end.
    fn cancel(&self) -> bool {
        let runs = !self.is_complete();
        if let Some(task) = self.task.as_ref().filter(|_| runs) {
            self.cancelled.store(true, Ordering::Relaxed);
            task.abort();
        }
        runs
    }

    async fn awaited(&self, lua: &Lua) -> Result<MultiValue> {
        // Fails where the task is gone, and that is an outcome too.
        drop(self.outcome.clone().wait_for(Option::is_some).await);
        self.results(lua)
    }

    /// Its results; nothing before there are any.
    fn results(&self, lua: &Lua) -> Result<MultiValue> {
        if !self.is_complete() {
            return Ok(MultiValue::new());
        }
        if let (false, Some(outcome)) = (self.is_cancelled(), &*self.outcome.borrow()) {
            return results(lua, outcome);
        }
        let (kind, message) = if self.is_cancelled() {
            ("cancelled", "the call was cancelled")
        } else {
            ("internal", "the call did not end")
        };
        results(lua, &Err(Unanswered::lasting(kind, message.to_owned(), String::new())))
    }
}

impl UserData for Pending {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_method("await", |lua, this: UserDataRef<Self>, ()| async move {
            this.awaited(&lua).await
        });
        methods.add_method("is_complete", |_, this, ()| Ok(this.is_complete()));
        methods.add_method("cancel", |_, this, ()| Ok(this.cancel()));
        methods.add_method("result", |lua, this, ()| this.results(lua));
    }
}

fn begin(lua: &Lua, (id, args): (String, MultiValue)) -> Result<Pending> {
    let ready = match prepare(lua, id, args)? {
        Ok(ready) => ready,
        Err(unanswered) => return Ok(Pending::ended(Err(unanswered))),
    };
    let handle = tokio::runtime::Handle::try_current();
    let handle = handle.map_err(|error| Error::runtime(error.to_string()))?;
    let clock = Clock::of(lua)?;
    let mut current = clock.current();
    let current = current.as_mut().ok_or_else(|| Error::runtime("there is no call"))?;
    let (sender, outcome) = watch::channel(None);
    let (id, mut task) = (ready.id.to_string(), None);
    let begun = current.begin(|| {
        let run = async move { drop(sender.send_replace(Some(ready.run().await))) };
        task.insert(handle.spawn(run).abort_handle()).clone()
    });
    if !begun {
        let message = "too many calls have begun and not ended: await some".to_owned();
        return Ok(Pending::ended(Err(Unanswered::lasting("limit", message, id))));
    }
    Ok(Pending { outcome, task, cancelled: AtomicBool::new(false) })
}
