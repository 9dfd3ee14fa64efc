//! Turns of a script, on threads that may block.
//!
//! A single instruction of a script may take time in proportion to everything that the script holds, and
//! nothing can interrupt it: a comparison, a growing table, a garbage collection. Turns therefore never run
//! on threads that serve others, and a caller whose script misses its deadline inside such an instruction
//! does not wait for its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crisol_core::{Value, one_line};
use mlua::thread::AsyncThread;
use mlua::{Function, Lua, MultiValue, Value as LuaValue};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinHandle;

use crate::call::Current;
use crate::clock::{Clock, now};
use crate::failure::Failure;
use crate::host::begin;
use crate::memory::size_in_lua;
use crate::method::find;
use crate::offload::Offloaded;
use crate::turn_limit::TurnLimit;
use crate::values::{Reader, write};

/// Time after the deadline that a script has to reach a clock check, before its caller continues without it.
const GRACE: Duration = Duration::from_millis(50);

/// Length of a turn after which other scripts may start theirs.
const LONG_TURN: Duration = Duration::from_millis(50);

/// A Lua instance with a script in it, and the function to call.
pub(crate) struct LoadedScript {
    // Dropped first: values that refer to it then need not look it up.
    lua: Lua,
    entry: Function,
}

/// An instance that is not in use.
pub(crate) type IdleScript = Offloaded<LoadedScript>;

/// Work of a state, passed between threads.
pub(crate) struct Job {
    clock: Arc<Clock>,
    stage: Offloaded<Stage>,
}

/// Creates a Lua instance and compiles a script in it.
type Compile = Box<dyn FnOnce(&Arc<Clock>) -> Result<(Lua, Function), Failure> + Send>;

/// Recipe for creating a state.
pub(crate) struct Load {
    pub(crate) compile: Compile,
}

pub(crate) enum Stage {
    /// Creates a Lua instance, and runs the script if one of its methods is called.
    Load(Load),
    /// Calls the function.
    Call(LoadedScript, Vec<Value>),
    /// Continues. The results are those of a call, or contain the method.
    Run(LoadedScript, AsyncThread<MultiValue>, ResultUse),
}

/// Use of the values that a script returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultUse {
    Method,
    Answer,
}

/// Result of a job.
pub(crate) enum JobResult {
    Loaded(IdleScript),
    Returned(IdleScript, Result<Value, Value>),
}

/// A job after a turn, its result, and the duration of the turn.
type TurnResult = (Job, Poll<Result<JobResult, Failure>>, Duration);

/// The current turn, also after its caller has gone.
pub(crate) type RunningTurn = Option<JoinHandle<TurnResult>>;

impl Job {
    pub(crate) fn new(clock: &Arc<Clock>, stage: Stage) -> Self {
        Self { clock: Arc::clone(clock), stage: Offloaded::new(stage) }
    }

    fn turn(mut self, waker: &Waker) -> TurnResult {
        let began = now();
        let polled = if self.clock.begin_turn() {
            self.advance(waker)
                .map_or_else(|failure| Poll::Ready(Err(failure)), |done| done.map(Ok))
        } else {
            Poll::Pending
        };
        if self.clock.is_expired() {
            // Dropped here, on a thread that may block.
            drop(self.stage.take());
        }
        (self, polled, now().saturating_duration_since(began))
    }

    fn advance(&mut self, waker: &Waker) -> Result<Poll<JobResult>, Failure> {
        let clock = &self.clock;
        let memory = &clock.memory;
        let raised = |error: mlua::Error| clock.failure(&error);
        let stage = self.stage.take().ok_or_else(|| Failure::host("the script has ended"))?;
        let (held, mut script, aim) = match stage {
            Stage::Load(Load { compile }) => {
                let (lua, entry) = compile(clock)?;
                if clock.method().is_none() {
                    memory.close(&lua);
                    return Ok(Poll::Ready(JobResult::Loaded(IdleScript::new(LoadedScript {
                        lua,
                        entry,
                    }))));
                }
                let script = begin(&lua, &entry, MultiValue::new()).map_err(raised)?;
                (LoadedScript { lua, entry }, script, ResultUse::Method)
            }
            Stage::Call(held, args) => {
                let lua = &held.lua;
                memory.open(lua, size_in_lua(&args)).map_err(raised)?;
                let args = args.into_iter().map(|value| write(lua, &value));
                let args: MultiValue = args.collect::<mlua::Result<_>>().map_err(raised)?;
                let script = begin(lua, &held.entry, args).map_err(raised)?;
                (held, script, ResultUse::Answer)
            }
            Stage::Run(held, script, aim) => {
                memory.open(&held.lua, 0).map_err(raised)?;
                (held, script, aim)
            }
        };
        match Pin::new(&mut script).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(Ok(results)) => finish(clock, held, results, aim).map(Poll::Ready),
            Poll::Ready(Err(error)) => {
                let failure = raised(error);
                memory.close(&held.lua);
                Err(failure)
            }
            Poll::Pending => {
                memory.close(&held.lua);
                self.stage = Offloaded::new(Stage::Run(held, script, aim));
                Ok(Poll::Pending)
            }
        }
    }
}

/// Reads results. The first result is the answer; `nil` with a second result is the script's error.
fn finish(
    clock: &Clock,
    held: LoadedScript,
    results: MultiValue,
    aim: ResultUse,
) -> Result<JobResult, Failure> {
    let mut results = results.into_iter();
    let first = results.next().unwrap_or(LuaValue::Nil);
    if let (ResultUse::Method, Some(method)) = (aim, clock.method()) {
        let entry = find(&first, method)?;
        clock.memory.close(&held.lua);
        return Ok(JobResult::Loaded(IdleScript::new(LoadedScript { lua: held.lua, entry })));
    }
    let second = results.next().unwrap_or(LuaValue::Nil);
    let is_error = first.is_nil() && !second.is_nil();
    let reader = Reader::new(&held.lua).map_err(Failure::Setup)?;
    let read = reader.read(if is_error { &second } else { &first });
    let value = read.map_err(|error| Failure::Result(one_line(&error)))?;
    clock.memory.close(&held.lua);
    Ok(JobResult::Returned(IdleScript::new(held), if is_error { Err(value) } else { Ok(value) }))
}

/// Ends a run on drop, also if its future is dropped.
struct RunGuard<'c>(&'c Clock, bool);

impl Drop for RunGuard<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// Drives a job from turn to turn.
pub(crate) struct Driver<'s> {
    /// Keeps the current turn if the future is dropped.
    pub(crate) running: &'s mut RunningTurn,
    pub(crate) turns: &'s TurnLimit,
    pub(crate) deadline: Option<Instant>,
}

impl Driver<'_> {
    /// Runs a job until it ends or the deadline passes.
    pub(crate) async fn drive(self, job: Job, current: Current) -> Result<JobResult, Failure> {
        let handle =
            Handle::try_current().map_err(|error| Failure::Setup(mlua::Error::external(error)))?;
        let Self { running, turns, deadline } = self;
        let clock = Arc::clone(&job.clock);
        let bell = Arc::new(RunWaker(Notify::new()));
        let waker = Waker::from(Arc::clone(&bell));
        clock.begin(deadline, current, waker.clone());
        let mut ending = RunGuard(&clock, false);
        let (began, mut computed) = (now(), Duration::ZERO);
        let mut job = job;
        let done = loop {
            let Some(permit) = by(deadline, turns.next()).await else { break None };
            let (turn_began, waker) = (now(), waker.clone());
            let turn = running.insert(handle.spawn_blocking(move || job.turn(&waker)));
            let Some(turned) = one_turn(turn, permit, deadline).await else {
                // The turn has run from its start until now.
                computed += now().saturating_duration_since(turn_began);
                break None;
            };
            *running = None;
            let (back, polled, took) = turned.map_err(|error| Failure::host(&error.to_string()))?;
            computed += took;
            match polled {
                Poll::Ready(done) => break Some(done),
                Poll::Pending if clock.is_expired() => break None,
                Poll::Pending => job = back,
            }
            if !clock.has_yielded() && by(deadline, bell.0.notified()).await.is_none() {
                break None;
            }
        };
        if let Some(ended) = clock.memory.ended() {
            return Err(ended);
        }
        let waiting = now().saturating_duration_since(began).saturating_sub(computed);
        // An answer that came after the deadline is dropped too.
        let done = done.filter(|_| !clock.is_expired());
        let done = done.ok_or(Failure::Deadline { running: computed, waiting })??;
        ending.1 = true;
        Ok(done)
    }
}

/// Waits for a turn, and at most a grace period past the deadline. A long turn releases its permit, so that
/// others can start before its end.
async fn one_turn<T>(
    turn: &mut JoinHandle<T>,
    permit: Option<OwnedSemaphorePermit>,
    deadline: Option<Instant>,
) -> Option<Result<T, tokio::task::JoinError>> {
    let patience = deadline.and_then(|deadline| deadline.checked_add(GRACE));
    let ended = async {
        if let Ok(turned) = tokio::time::timeout(LONG_TURN, &mut *turn).await {
            return turned;
        }
        drop(permit);
        turn.await
    };
    by(patience, ended).await
}

/// Awaits the future until `deadline`. `None` means that the deadline passed.
async fn by<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), future).await.ok(),
        None => Some(future.await),
    }
}

/// Waker of a run. A wake during a turn counts for the next one.
struct RunWaker(Notify);

impl Wake for RunWaker {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}
