//! Turns of a script, on threads that may be kept busy.
//!
//! One instruction of a script may take as long as it takes to go through all that the script holds, and nothing can
//! interrupt it: a comparison, a table that grows, a collection of garbage. So no turn runs on a thread that serves
//! others, and the caller of a script that misses its deadline in such an instruction does not wait for its end.

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

use crate::allowance::weight;
use crate::call::Current;
use crate::failure::Failure;
use crate::gate::{Clock, now};
use crate::host::begin;
use crate::method::find;
use crate::offload::Offloaded;
use crate::turns::Turns;
use crate::values::{Reader, write};

/// Time that a script has to come to a look at the clock after its deadline, before its caller goes on without it.
const GRACE: Duration = Duration::from_millis(50);

/// Time of a turn after which others need not wait for its end to have theirs.
const LONG_TURN: Duration = Duration::from_millis(50);

/// A Lua with a script in it, and the function that is called of it.
pub(crate) struct Held {
    // Goes first: then what refers to it need not look for it.
    lua: Lua,
    entry: Function,
}

/// One that is not in use.
pub(crate) type Kept = Offloaded<Held>;

/// Work of a state, handed from thread to thread.
pub(crate) struct Job {
    clock: Arc<Clock>,
    stage: Offloaded<Stage>,
}

/// Makes a Lua with a script in it.
type Compile = Box<dyn FnOnce(&Arc<Clock>) -> Result<(Lua, Function), Failure> + Send>;

/// How a state is made.
pub(crate) struct Load {
    pub(crate) compile: Compile,
}

pub(crate) enum Stage {
    /// Make a Lua with the script in it, and run that where a method of it is called.
    Load(Load),
    /// Call the function.
    Call(Held, Vec<Value>),
    /// Go on: the results are of a call, or have the method that was asked for.
    Run(Held, AsyncThread<MultiValue>, Aim),
}

/// Use of what a script returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Method,
    Answer,
}

/// Result of a job.
pub(crate) enum Done {
    Loaded(Kept),
    Returned(Kept, Result<Value, Value>),
}

/// A job after a turn, and how long that took.
type Turned = (Job, Poll<Result<Done, Failure>>, Duration);

/// The turn that runs, also after its caller has left.
pub(crate) type Running = Option<JoinHandle<Turned>>;

impl Job {
    pub(crate) fn new(clock: &Arc<Clock>, stage: Stage) -> Self {
        Self { clock: Arc::clone(clock), stage: Offloaded::new(stage) }
    }

    fn turn(mut self, waker: &Waker) -> Turned {
        let began = now();
        let polled = if self.clock.begin_turn() {
            self.advance(waker)
                .map_or_else(|failure| Poll::Ready(Err(failure)), |done| done.map(Ok))
        } else {
            Poll::Pending
        };
        if self.clock.is_expired() {
            // Here, where it keeps nobody waiting.
            drop(self.stage.take());
        }
        (self, polled, now().saturating_duration_since(began))
    }

    fn advance(&mut self, waker: &Waker) -> Result<Poll<Done>, Failure> {
        let clock = &self.clock;
        let allowance = &clock.allowance;
        let raised = |error: mlua::Error| clock.failure(&error);
        let stage = self.stage.take().ok_or_else(|| Failure::told("the script is over"))?;
        let (held, mut script, aim) = match stage {
            Stage::Load(Load { compile }) => {
                let (lua, entry) = compile(clock)?;
                if clock.method().is_none() {
                    allowance.close(&lua);
                    return Ok(Poll::Ready(Done::Loaded(Kept::new(Held { lua, entry }))));
                }
                let script = begin(&lua, &entry, MultiValue::new()).map_err(raised)?;
                (Held { lua, entry }, script, Aim::Method)
            }
            Stage::Call(held, args) => {
                let lua = &held.lua;
                allowance.open(lua, weight(&args)).map_err(raised)?;
                let args = args.into_iter().map(|value| write(lua, &value));
                let args: MultiValue = args.collect::<mlua::Result<_>>().map_err(raised)?;
                let script = begin(lua, &held.entry, args).map_err(raised)?;
                (held, script, Aim::Answer)
            }
            Stage::Run(held, script, aim) => {
                allowance.open(&held.lua, 0).map_err(raised)?;
                (held, script, aim)
            }
        };
        match Pin::new(&mut script).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(Ok(results)) => finish(clock, held, results, aim).map(Poll::Ready),
            Poll::Ready(Err(error)) => {
                let failure = raised(error);
                allowance.close(&held.lua);
                Err(failure)
            }
            Poll::Pending => {
                allowance.close(&held.lua);
                self.stage = Offloaded::new(Stage::Run(held, script, aim));
                Ok(Poll::Pending)
            }
        }
    }
}

/// Reads results. A script answers with its first one; `nil` and a second one are its error.
fn finish(clock: &Clock, held: Held, results: MultiValue, aim: Aim) -> Result<Done, Failure> {
    let mut results = results.into_iter();
    let first = results.next().unwrap_or(LuaValue::Nil);
    if let (Aim::Method, Some(method)) = (aim, clock.method()) {
        let entry = find(&first, method)?;
        clock.allowance.close(&held.lua);
        return Ok(Done::Loaded(Kept::new(Held { lua: held.lua, entry })));
    }
    let second = results.next().unwrap_or(LuaValue::Nil);
    let is_error = first.is_nil() && !second.is_nil();
    let reader = Reader::new(&held.lua).map_err(Failure::Setup)?;
    let read = reader.read(if is_error { &second } else { &first });
    let value = read.map_err(|error| Failure::Result(one_line(&error)))?;
    clock.allowance.close(&held.lua);
    Ok(Done::Returned(Kept::new(held), if is_error { Err(value) } else { Ok(value) }))
}

/// Ends a run however it ends, also when its future is dropped.
struct Ending<'c>(&'c Clock, bool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// Takes a job from turn to turn.
pub(crate) struct Driver<'s> {
    /// Keeps the turn that runs where the future is dropped.
    pub(crate) running: &'s mut Running,
    pub(crate) turns: &'s Turns,
    pub(crate) deadline: Option<Instant>,
}

impl Driver<'_> {
    /// Runs a job by the deadline.
    pub(crate) async fn drive(self, job: Job, current: Current) -> Result<Done, Failure> {
        let handle =
            Handle::try_current().map_err(|error| Failure::Setup(mlua::Error::external(error)))?;
        let Self { running, turns, deadline } = self;
        let clock = Arc::clone(&job.clock);
        clock.begin(deadline, current);
        let mut ending = Ending(&clock, false);
        let (began, mut computed) = (now(), Duration::ZERO);
        let bell = Arc::new(Bell(Notify::new()));
        let waker = Waker::from(Arc::clone(&bell));
        let mut job = job;
        let done = loop {
            let Some(permit) = by(deadline, turns.next()).await else { break None };
            let (turn_began, waker) = (now(), waker.clone());
            let turn = running.insert(handle.spawn_blocking(move || job.turn(&waker)));
            let Some(turned) = one_turn(turn, permit, deadline).await else {
                // It was on its way from the start of its turn to now.
                computed += now().saturating_duration_since(turn_began);
                break None;
            };
            *running = None;
            let (back, polled, took) = turned.map_err(|error| Failure::told(&error.to_string()))?;
            computed += took;
            match polled {
                Poll::Ready(done) => break Some(done),
                Poll::Pending if clock.is_expired() => break None,
                Poll::Pending => job = back,
            }
            if !clock.gave_way() && by(deadline, bell.0.notified()).await.is_none() {
                break None;
            }
        };
        if let Some(ended) = clock.allowance.ended() {
            return Err(ended);
        }
        let waiting = now().saturating_duration_since(began).saturating_sub(computed);
        // Also one that got an answer out after its time.
        let done = done.filter(|_| !clock.is_expired());
        let done = done.ok_or(Failure::Deadline { running: computed, waiting })??;
        ending.1 = true;
        Ok(done)
    }
}

/// Waits for a turn, and no longer than a while beyond the deadline. A long one lets others have theirs before its end.
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

/// The future's output, if it comes by `deadline`.
async fn by<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), future).await.ok(),
        None => Some(future.await),
    }
}

/// Wakes the run. A ring while a turn runs counts for the next one.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}
