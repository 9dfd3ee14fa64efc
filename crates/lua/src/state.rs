//! A script in a Lua instance of its own, ready to be called.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crisol_core::Value;

use crate::call::{Call, Current};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::turn::{Driver, IdleScript, Job, JobResult, Load, RunningTurn, Stage};
use crate::turn_limit::TurnLimit;

/// A script in a Lua instance of its own, ready to be called. Globals set by one call are visible to the
/// next. Use a state for one call only to isolate calls.
pub struct State {
    /// `None` during a call, and after a call that failed.
    kept: Option<IdleScript>,
    clock: Arc<Clock>,
    turns: TurnLimit,
    running: RunningTurn,
}

impl State {
    pub(crate) async fn load(
        clock: &Arc<Clock>,
        turns: &TurnLimit,
        load: Load,
        deadline: Option<Instant>,
    ) -> Result<Self, Failure> {
        let (clock, turns) = (Arc::clone(clock), turns.clone());
        let mut state = Self { kept: None, clock, turns, running: None };
        match state.drive(Stage::Load(load), Current::none(), deadline).await? {
            JobResult::Loaded(kept) => Ok(Self { kept: Some(kept), ..state }),
            JobResult::Returned(..) => Err(Failure::host("the script was not loaded")),
        }
    }

    /// Calls the entry. The first result is the answer; `nil` with a second result is the script's error.
    ///
    /// A call that ended early, or whose future was dropped, may leave an instruction running: see
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
            return Err(Failure::host("the script has ended"));
        };
        let current = Current::new(call);
        match self.drive(Stage::Call(held, args), current, deadline).await? {
            JobResult::Returned(kept, answer) => {
                self.kept = Some(kept);
                answer.map_err(Failure::Returned)
            }
            JobResult::Loaded(..) => Err(Failure::host("the script was not called")),
        }
    }

    async fn drive(
        &mut self,
        stage: Stage,
        current: Current,
        deadline: Option<Instant>,
    ) -> Result<JobResult, Failure> {
        let driver = Driver { running: &mut self.running, turns: &self.turns, deadline };
        driver.drive(Job::new(&self.clock, stage), current).await
    }

    /// Returns true if an instruction of a finished call still runs. The script does not continue after it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|turn| !turn.is_finished())
    }

    /// Waits until no instruction of a finished call runs.
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
