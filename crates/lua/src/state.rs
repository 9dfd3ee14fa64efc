//! One script in a Lua of its own, ready to be called.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crisol_core::{CallContext, Invoke, Value};
use mlua::{Function, Lua, MultiValue, Value as LuaValue};
use tokio::task::AbortHandle;

use crate::allowance::{Counted, weight};
use crate::failure::Failure;
use crate::gate::Clock;
use crate::values::{Nulls, Reader, write};

/// Calls that a script may have begun and not yet had answers of.
const MAX_CALLS: usize = 1024;

/// On whose behalf a state is called, and where the calls that it makes go.
#[derive(Clone)]
pub struct Call {
    /// Where its calls go.
    pub invoke: Arc<dyn Invoke>,
    /// The context of those calls.
    pub context: CallContext,
}

/// The call that a state serves now, for the modules to find.
pub(crate) struct Current {
    pub(crate) call: Option<Call>,
    begun: Mutex<Vec<AbortHandle>>,
}

impl Current {
    fn new(call: Option<Call>) -> Self {
        Self { call, begun: Mutex::new(Vec::new()) }
    }

    /// Keeps account of a call that was begun; whether there may be one more.
    pub(crate) fn may_begin(&self) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|handle| !handle.is_finished());
        begun.len() < MAX_CALLS
    }

    pub(crate) fn began(&self, handle: AbortHandle) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

impl Drop for Current {
    /// What was begun and never awaited ends with the call.
    fn drop(&mut self) {
        for handle in self.begun.get_mut().unwrap_or_else(PoisonError::into_inner) {
            handle.abort();
        }
    }
}

/// One script in a Lua of its own, ready to be called. Globals that a call sets are there in the next one:
/// a state that serves one call only keeps calls apart.
pub struct State {
    lua: Lua,
    clock: Arc<Clock>,
    entry: Function,
}

/// Ends a call however it ends, also when its future is dropped.
struct Ending<'l>(&'l Lua);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        drop(self.0.remove_app_data::<Current>());
    }
}

impl State {
    pub(crate) fn new(lua: Lua, clock: Arc<Clock>, entry: Function) -> Self {
        Self { lua, clock, entry }
    }

    pub(crate) fn set_entry(&mut self, entry: Function) {
        self.entry = entry;
    }

    /// Calls the entry. A script answers with its first result; `nil` and a second one are its error.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn call(
        &mut self,
        call: Call,
        args: &[Value],
        deadline: Option<Instant>,
    ) -> Result<Value, Failure> {
        let clock = Arc::clone(&self.clock);
        let raised = |error: mlua::Error| clock.allowance.failure(&error);
        clock.allowance.open(&self.lua, weight(args)).map_err(raised)?;
        let args = args.iter().map(|value| write(&self.lua, value, Nulls::Absent));
        let args: MultiValue = args.collect::<mlua::Result<_>>().map_err(raised)?;
        let results = self.run(Some(call), args, deadline).await?;
        let mut results = results.into_iter();
        let (first, second) = (results.next(), results.next());
        let mut reader = Reader::new(&self.lua);
        match (first.unwrap_or(LuaValue::Nil), second.unwrap_or(LuaValue::Nil)) {
            (LuaValue::Nil, error) if !error.is_nil() => {
                Err(Failure::Answered(reader.read(&error).map_err(Failure::Result)?))
            }
            (value, _) => reader.read(&value).map_err(Failure::Result),
        }
    }

    pub(crate) async fn run(
        &mut self,
        call: Option<Call>,
        args: MultiValue,
        deadline: Option<Instant>,
    ) -> Result<MultiValue, Failure> {
        self.lua.set_app_data(Current::new(call));
        let _ending = Ending(&self.lua);
        let allowance = &self.clock.allowance;
        let raised = |error: mlua::Error| allowance.failure(&error);
        // A thread of its own and not `call_async`: that one closes the script's variables when it is
        // dropped, which runs code of the script after its time.
        let thread = self.lua.create_thread(self.entry.clone()).map_err(raised)?;
        let thread = thread.into_async::<MultiValue>(args).map_err(raised)?;
        let script = Counted { allowance, lua: &self.lua, script: thread };
        let (results, stretch) = self.clock.drive(deadline, script).await;
        if let Some(ended) = allowance.ended() {
            return Err(ended);
        }
        results.ok_or(stretch)?.map_err(raised)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("memory", &self.lua.used_memory()).finish_non_exhaustive()
    }
}
