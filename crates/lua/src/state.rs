//! One script in a Lua of its own, ready to be called.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crisol_core::Value;

use crate::call::{Call, Current};
use crate::failure::Failure;
use crate::gate::Clock;
use crate::turn::{Done, Driver, Job, Kept, Load, Running, Stage};
use crate::turns::Turns;

/// One script in a Lua of its own, ready to be called. Globals that a call sets are there in the next one:
/// a state that serves one call only keeps calls apart.
pub struct State {
    /// None while a call has it, and after one that failed.
    kept: Option<Kept>,
    clock: Arc<Clock>,
    turns: Turns,
    running: Running,
}

impl State {
    pub(crate) async fn load(
        clock: &Arc<Clock>,
        turns: &Turns,
        load: Load,
        deadline: Option<Instant>,
    ) -> Result<Self, Failure> {
        let (clock, turns) = (Arc::clone(clock), turns.clone());
        let mut state = Self { kept: None, clock, turns, running: None };
        match state.drive(Stage::Load(load), Current::none(), deadline).await? {
            Done::Loaded(kept) => Ok(Self { kept: Some(kept), ..state }),
            Done::Returned(..) => Err(Failure::told("the script was not loaded")),
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
        let Some(held) = self.kept.take().and_then(|mut kept| kept.take()) else {
            return Err(Failure::told("the script is over"));
        };
        let current = Current::new(call);
        match self.drive(Stage::Call(held, args), current, deadline).await? {
            Done::Returned(kept, answer) => {
                self.kept = Some(kept);
                answer.map_err(Failure::Answered)
            }
            Done::Loaded(..) => Err(Failure::told("the script was not called")),
        }
    }

    async fn drive(
        &mut self,
        stage: Stage,
        current: Current,
        deadline: Option<Instant>,
    ) -> Result<Done, Failure> {
        let driver = Driver { running: &mut self.running, turns: &self.turns, deadline };
        driver.drive(Job::new(&self.clock, stage), current).await
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

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("is_running", &self.is_running()).finish_non_exhaustive()
    }
}
