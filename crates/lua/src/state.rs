//! One script in a Lua of its own, ready to be called.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crisol_core::Value;
use mlua::{Function, Lua};
use tokio::runtime::Handle;

use crate::call::{Call, Current};
use crate::failure::Failure;
use crate::gate::Clock;
use crate::turn::{Done, Job, Load, Running, Stage, drive};

/// One script in a Lua of its own, ready to be called. Globals that a call sets are there in the next one:
/// a state that serves one call only keeps calls apart.
pub struct State {
    /// None while a call has it, and after one that failed.
    lua: Option<Lua>,
    clock: Arc<Clock>,
    entry: Function,
    running: Running,
}

impl State {
    pub(crate) async fn load(
        clock: &Arc<Clock>,
        load: Load,
        deadline: Option<Instant>,
    ) -> Result<Self, Failure> {
        let job = Job::new(clock, Stage::Load(load));
        match drive(&mut None, job, Current::default(), deadline).await? {
            Done::Loaded(lua, entry) => {
                Ok(Self { lua: Some(lua), clock: Arc::clone(clock), entry, running: None })
            }
            Done::Returned(..) => Err(Failure::Raised("the script was not loaded".to_owned())),
        }
    }

    /// Calls the entry. A script answers with its first result; `nil` and a second one are its error.
    ///
    /// A call that is over, or whose future is dropped, may leave an instruction that still runs:
    /// [`State::is_running`].
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn call(
        &mut self,
        call: Call,
        args: Vec<Value>,
        deadline: Option<Instant>,
    ) -> Result<Value, Failure> {
        self.settle().await;
        let Some(lua) = self.lua.take() else {
            return Err(Failure::Raised("the script is over".to_owned()));
        };
        let job = Job::new(&self.clock, Stage::Call(lua, self.entry.clone(), args));
        match drive(&mut self.running, job, Current::new(call), deadline).await? {
            Done::Returned(lua, answer) => {
                self.lua = Some(lua);
                answer.map_err(Failure::Answered)
            }
            Done::Loaded(..) => Err(Failure::Raised("the script was not called".to_owned())),
        }
    }

    /// Whether an instruction of a call that is over still runs. The script gets no further than that.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|turn| !turn.is_finished())
    }

    /// Waits until no instruction of a call that is over runs any longer.
    pub async fn settle(&mut self) {
        if let Some(turn) = &mut self.running {
            drop(turn.await);
            self.running = None;
        }
    }
}

impl Drop for State {
    /// Closing a Lua frees one by one what it holds, which no thread that serves others is to wait for.
    fn drop(&mut self) {
        if let (Some(lua), Ok(handle)) = (self.lua.take(), Handle::try_current()) {
            drop(handle.spawn_blocking(move || drop(lua)));
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("is_running", &self.is_running()).finish_non_exhaustive()
    }
}
