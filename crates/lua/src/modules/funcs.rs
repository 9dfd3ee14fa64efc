//! Module `funcs`: calls to functions. `call` waits for the answer; `async` starts a call and returns a
//! future.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crisol_core::{Args, CallError, EntryId, Value};
use mlua::{
    Error, Function, Lua, MetaMethod, MultiValue, Result, Table, UserData, UserDataFields,
    UserDataMethods, UserDataRef, Value as LuaValue,
};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::call::{Call, Current, HeldMemory};
use crate::clock::Clock;
use crate::memory::size_in_lua;
use crate::modules::wait::Waiting;
use crate::offload::Offloaded;
use crate::values::{Reader, write};

/// Registry key of the function that creates errors of calls.
pub(crate) const NEW_ERROR: &str = "crisol.new_error";

/// Registry key of the prelude's function that awaits a future.
pub(crate) const AWAIT: &str = "crisol.await";

/// Result of a call, independent of Lua, since a script may read it more than once.
type CallResult = std::result::Result<Value, CallFailure>;

/// A result, and the memory it counts for.
type CountedResult = (CallResult, Option<HeldMemory>);

#[derive(Debug)]
enum CallFailure {
    /// The function's own error.
    Function { id: String, error: Value },
    /// Any other failure.
    Failed { kind: &'static str, message: String, id: String, retryable: bool },
}

impl CallFailure {
    /// Creates an error that another attempt would not change.
    fn lasting(kind: &'static str, message: String, id: String) -> Self {
        Self::Failed { kind, message, id, retryable: false }
    }
}

pub(super) fn module(lua: &Lua) -> Result<Table> {
    let funcs = lua.create_table()?;
    // A call runs in a task of its own, so a chain of calls does not deepen the stack.
    let call = lua.create_function(|lua, (id, args)| Ok(start(lua, id, args)?.waiting()))?;
    funcs.raw_set("call", call)?;
    let start = lua.create_function(|lua, (id, args)| Ok(CallFuture(start(lua, id, args)?)))?;
    funcs.raw_set("async", start)?;
    Ok(funcs)
}

/// A call with everything it needs.
struct PreparedCall {
    call: Call,
    id: EntryId,
    args: Vec<Value>,
    held_memory: Option<HeldMemory>,
}

impl Drop for PreparedCall {
    /// Drops the arguments of a call that was aborted before its turn.
    fn drop(&mut self) {
        if self.held_memory.as_ref().is_some_and(HeldMemory::is_large) {
            drop(Offloaded::new(std::mem::take(&mut self.args)));
        }
    }
}

impl PreparedCall {
    async fn run(mut self) -> CountedResult {
        let _turn = match &self.held_memory {
            Some(held_memory) => held_memory.turn().await,
            None => None,
        };
        let Call { invoke, context } = self.call.clone();
        let args = Args::Values(std::mem::take(&mut self.args));
        let reply = invoke.invoke(&self.id, context, args).await;
        let outcome = reply.map_err(|error| to_failure(&self.id, error)).and_then(|reply| {
            reply.into_value().map_err(|error| {
                CallFailure::lasting("unexpected-result", error.to_string(), self.id.to_string())
            })
        });
        let bytes = match &outcome {
            Ok(value) | Err(CallFailure::Function { error: value, .. }) => size_of_one(value),
            Err(CallFailure::Failed { message, .. }) => message.len() as u64,
        };
        let mut held_memory = self.held_memory.take();
        match held_memory.as_mut().map(|held_memory| held_memory.replace_by_result(bytes)) {
            Some(Err(_)) => {
                drop(Offloaded::new(outcome));
                (Err(too_much("results", self.id.to_string())), None)
            }
            _ => (outcome, held_memory),
        }
    }
}

/// Converts an error of a call. Scripts belong to the app, so they see all of it.
fn to_failure(id: &EntryId, error: CallError) -> CallFailure {
    let id = id.to_string();
    match error.into_function_error() {
        Ok(error) => CallFailure::Function { id, error },
        Err(other) => {
            let (kind, message) = (other.kind(), crisol_core::chain(&other));
            let retryable = other.is_safe_to_repeat();
            CallFailure::Failed { kind: kind.name(), message, id, retryable }
        }
    }
}

fn size_of_one(value: &Value) -> u64 {
    size_in_lua(std::slice::from_ref(value))
}

/// Creates an error for lack of memory outside of Lua.
fn too_much(what: &str, id: String) -> CallFailure {
    let message = format!("{what} of started calls use too much memory: await fewer at a time");
    CallFailure::lasting("limit", message, id)
}

/// Prepares a call from its arguments. The outer error is a mistake in the script's own code.
fn prepare(
    lua: &Lua,
    id: String,
    args: MultiValue,
) -> Result<std::result::Result<PreparedCall, CallFailure>> {
    let clock = Clock::of(lua)?;
    let call = clock.current().as_ref().and_then(Current::call);
    let call = call
        .ok_or_else(|| Error::runtime("functions cannot be called while the script is loaded"))?;
    let invalid = |message: String| CallFailure::lasting("invalid-input", message, id.clone());
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
    let bytes = size_in_lua(&values);
    let Ok(counted) = clock.memory.outside(lua, bytes)? else {
        return Ok(Err(too_much("arguments", id)));
    };
    let held_memory = clock.current().as_ref().map(|current| current.held_memory(bytes, counted));
    Ok(Ok(PreparedCall { call, id: entry, args: values, held_memory }))
}

/// Converts an outcome to `value, nil` or `nil, err`.
fn results(lua: &Lua, outcome: &CallResult) -> Result<MultiValue> {
    let pair = |value, err| Ok(MultiValue::from_vec(vec![value, err]));
    let failed = |kind: &str, message: &str, id: &str, retryable: bool| {
        let new: Function = lua.named_registry_value(NEW_ERROR)?;
        pair(LuaValue::Nil, new.call((kind, message, id, retryable))?)
    };
    match outcome {
        Ok(value) => {
            Clock::of(lua)?.memory.make_room(lua, size_of_one(value))?;
            match write(lua, value) {
                Ok(value) => pair(value, LuaValue::Nil),
                Err(Error::RuntimeError(message)) => {
                    failed("unexpected-result", &message, "", false)
                }
                Err(other) => Err(other),
            }
        }
        // An error without a payload would look like success.
        Err(CallFailure::Function { id, error: Value::Null }) => {
            failed("function", &format!("`{id}` returned an error"), id, false)
        }
        Err(CallFailure::Function { error, .. }) => pair(LuaValue::Nil, write(lua, error)?),
        Err(CallFailure::Failed { kind, message, id, retryable }) => {
            failed(kind, message, id, *retryable)
        }
    }
}

/// A call that was started.
struct StartedCall {
    outcome: watch::Receiver<Option<CountedResult>>,
    /// Task that makes the call, if there is one.
    task: Option<AbortHandle>,
    cancelled: AtomicBool,
}

impl Drop for StartedCall {
    /// Aborts the call: nothing can read its outcome any more.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl StartedCall {
    fn ended(outcome: CallResult) -> Arc<Self> {
        let (_, outcome) = watch::channel(Some((outcome, None)));
        Arc::new(Self { outcome, task: None, cancelled: AtomicBool::new(false) })
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn is_complete(&self) -> bool {
        // Without an outcome, a closed channel means that the task is gone.
        self.is_cancelled()
            || self.outcome.borrow().is_some()
            || self.outcome.has_changed().is_err()
    }

    /// Cancels a pending call. Returns true if it was pending.
    fn cancel(&self) -> bool {
        let runs = !self.is_complete();
        if let Some(task) = self.task.as_ref().filter(|_| runs) {
            self.cancelled.store(true, Ordering::Relaxed);
            task.abort();
        }
        runs
    }

    /// Creates the operation that waits for the outcome.
    fn waiting(self: Arc<Self>) -> Waiting {
        let mut outcome = self.outcome.clone();
        // Fails if the task is gone, which is an outcome too.
        let ended = async move { drop(outcome.wait_for(Option::is_some).await) };
        Waiting::new(ended, move |lua, ()| self.results(lua))
    }

    /// Returns the results; nothing while the call is pending.
    fn results(&self, lua: &Lua) -> Result<MultiValue> {
        if !self.is_complete() {
            return Ok(MultiValue::new());
        }
        if let (false, Some((outcome, _))) = (self.is_cancelled(), &*self.outcome.borrow()) {
            return results(lua, outcome);
        }
        let (kind, message) = if self.is_cancelled() {
            ("cancelled", "the call was cancelled")
        } else {
            ("internal", "the call did not end")
        };
        results(lua, &Err(CallFailure::lasting(kind, message.to_owned(), String::new())))
    }
}

/// Future of a call, as scripts see it.
pub(crate) struct CallFuture(Arc<StartedCall>);

impl UserData for CallFuture {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        // `await` is a function of the prelude. The methods below join it in the same table.
        fields.add_meta_field_with(MetaMethod::Index.name(), |lua| {
            let methods = lua.create_table()?;
            methods.raw_set("await", lua.named_registry_value::<Function>(AWAIT)?)?;
            Ok(methods)
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("is_complete", |_, this, ()| Ok(this.0.is_complete()));
        methods.add_method("cancel", |_, this, ()| Ok(this.0.cancel()));
        methods.add_method("result", |lua, this, ()| this.0.results(lua));
    }
}

/// Begins to wait for a future, for the prelude's `await`.
pub(crate) fn await_future(_: &Lua, future: UserDataRef<CallFuture>) -> Result<Waiting> {
    Ok(Arc::clone(&future.0).waiting())
}

/// Starts a call.
fn start(lua: &Lua, id: String, args: MultiValue) -> Result<Arc<StartedCall>> {
    let ready = match prepare(lua, id, args)? {
        Ok(ready) => ready,
        Err(failure) => return Ok(StartedCall::ended(Err(failure))),
    };
    let handle = tokio::runtime::Handle::try_current();
    let handle = handle.map_err(|error| Error::runtime(error.to_string()))?;
    let clock = Clock::of(lua)?;
    let mut current = clock.current();
    let current = current.as_mut().ok_or_else(|| Error::runtime("no call is running"))?;
    let (sender, outcome) = watch::channel(None);
    let (id, mut task) = (ready.id.to_string(), None);
    let begun = current.begin(|| {
        let run = async move {
            // Without a receiver the outcome comes back, and may be large.
            if let Err(unheard) = sender.send(Some(ready.run().await)) {
                drop(Offloaded::new(unheard));
            }
        };
        task.insert(handle.spawn(run).abort_handle()).clone()
    });
    if !begun {
        let message = "too many pending calls: await some of them".to_owned();
        return Ok(StartedCall::ended(Err(CallFailure::lasting("limit", message, id))));
    }
    Ok(Arc::new(StartedCall { outcome, task, cancelled: AtomicBool::new(false) }))
}
