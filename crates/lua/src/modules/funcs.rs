//! `funcs`: calls to functions. `call` waits for the answer; `async` begins a call and gives a future.

use crisol_core::{Args, CallError, EntryId, Value};
use mlua::{
    Error, Function, Lua, MultiValue, Result, Table, UserData, UserDataMethods, UserDataRef,
    Value as LuaValue,
};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::host::NEW_ERROR;
use crate::state::{Call, Current};
use crate::values::{Nulls, Reader, write};

/// What came of a call, free of Lua: it may be asked for more than once.
type Outcome = std::result::Result<Value, Unanswered>;

#[derive(Debug, Clone)]
enum Unanswered {
    /// The function's own error.
    Function { id: String, error: Value },
    /// Any other.
    Failed { kind: &'static str, message: String, id: String },
}

pub(super) fn module(lua: &Lua) -> Result<Table> {
    let funcs = lua.create_table()?;
    let call = lua.create_async_function(|lua, (id, args): (String, MultiValue)| async move {
        // A task of its own: a chain of calls is then no deeper on any stack than one of them.
        begin(&lua, (id, args))?.results(&lua).await
    })?;
    funcs.raw_set("call", call)?;
    funcs.raw_set("async", lua.create_function(begin)?)?;
    // Methods are made with the first future, and by then `coroutine.yield` would be the prelude's.
    let nothing = Slot::Done(Ok(Value::Null));
    drop(lua.create_userdata(Pending(Mutex::new(nothing)))?);
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
        value.map_err(|error| Unanswered::Failed {
            kind: "unexpected-result",
            message: error.to_string(),
            id: self.id.to_string(),
        })
    }
}

/// Scripts belong to the app, so they may know all of an error.
fn unanswered(id: &EntryId, error: &CallError) -> Unanswered {
    let id = id.to_string();
    match error {
        CallError::Function { error, .. } => Unanswered::Function { id, error: (**error).clone() },
        other => {
            Unanswered::Failed { kind: other.kind().name(), message: crisol_core::chain(other), id }
        }
    }
}

/// Reads what a script asks for. The outer error is one of the script's own code.
fn prepare(
    lua: &Lua,
    id: String,
    args: MultiValue,
) -> Result<std::result::Result<Ready, Unanswered>> {
    let current = lua.app_data_ref::<Current>();
    let call = current.as_ref().and_then(|current| current.call.clone());
    let call = call.ok_or_else(|| {
        Error::runtime("functions can be called from a function, not while the script is loaded")
    })?;
    let invalid =
        |message: String| Unanswered::Failed { kind: "invalid-input", message, id: id.clone() };
    let entry: EntryId = match id.parse() {
        Ok(entry) => entry,
        Err(error) => return Ok(Err(invalid(format!("{error}")))),
    };
    let mut reader = Reader::new(lua);
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
    let failed = |kind: &str, message: &str, id: &str| {
        let new: Function = lua.named_registry_value(NEW_ERROR)?;
        pair(LuaValue::Nil, new.call((kind, message, id))?)
    };
    match outcome {
        Ok(value) => match write(lua, value, Nulls::Absent) {
            Ok(value) => pair(value, LuaValue::Nil),
            Err(Error::RuntimeError(message)) => failed("unexpected-result", &message, ""),
            Err(other) => Err(other),
        },
        // An error without payload would read as success.
        Err(Unanswered::Function { id, error: Value::Null }) => {
            failed("function", &format!("`{id}` answered with its error"), id)
        }
        Err(Unanswered::Function { error, .. }) => {
            pair(LuaValue::Nil, write(lua, error, Nulls::Absent)?)
        }
        Err(Unanswered::Failed { kind, message, id }) => failed(kind, message, id),
    }
}

/// A call that has begun.
struct Pending(Mutex<Slot>);

enum Slot {
    Running(JoinHandle<Outcome>),
    Done(Outcome),
}

impl Drop for Pending {
    /// A future that nobody holds any longer is of no use to anybody.
    fn drop(&mut self) {
        if let Slot::Running(task) = self.0.get_mut() {
            task.abort();
        }
    }
}

impl Pending {
    async fn results(&self, lua: &Lua) -> Result<MultiValue> {
        let mut slot = self.0.lock().await;
        if let Slot::Running(task) = &mut *slot {
            let ended = task.await.unwrap_or_else(|error| {
                let message = format!("the call did not end: {error}");
                Err(Unanswered::Failed { kind: "internal", message, id: String::new() })
            });
            *slot = Slot::Done(ended);
        }
        match &*slot {
            Slot::Done(outcome) => results(lua, outcome),
            Slot::Running(_) => Err(Error::runtime("the call did not end")),
        }
    }
}

impl UserData for Pending {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_method("await", |lua, this: UserDataRef<Self>, ()| async move {
            this.results(&lua).await
        });
    }
}

fn begin(lua: &Lua, (id, args): (String, MultiValue)) -> Result<Pending> {
    let outcome = match prepare(lua, id, args)? {
        Ok(ready) => {
            let handle = tokio::runtime::Handle::try_current()
                .map_err(|error| Error::runtime(error.to_string()))?;
            let current = lua.app_data_ref::<Current>();
            let current = current.ok_or_else(|| Error::runtime("there is no call"))?;
            if !current.may_begin() {
                let message = "too many calls have begun and not ended: await some".to_owned();
                let id = ready.id.to_string();
                Slot::Done(Err(Unanswered::Failed { kind: "limit", message, id }))
            } else {
                let task = handle.spawn(ready.run());
                current.began(task.abort_handle());
                Slot::Running(task)
            }
        }
        Err(unanswered) => Slot::Done(Err(unanswered)),
    };
    Ok(Pending(Mutex::new(outcome)))
}
