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

use crisol_core::Value;
use mlua::thread::AsyncThread;
use mlua::{Function, Lua, MultiValue, Value as LuaValue};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::allowance::weight;
use crate::call::Current;
use crate::failure::{Failure, one_line};
use crate::gate::{Clock, now};
use crate::method::find;
use crate::values::{Reader, write};

/// Time that a script has to come to a look at the clock after its deadline, before its caller goes on without it.
const GRACE: Duration = Duration::from_millis(50);

/// Work of a state, handed from thread to thread.
pub(crate) struct Job {
    clock: Arc<Clock>,
    stage: Stage,
}

/// Makes a Lua with a script in it.
type Compile = Box<dyn FnOnce(&Arc<Clock>) -> Result<(Lua, Function), Failure> + Send>;

/// How a state is made.
pub(crate) struct Load {
    pub(crate) compile: Compile,
    /// The method that is called of what the script returns; none where the script itself is called.
    pub(crate) method: Option<String>,
}

pub(crate) enum Stage {
    /// Make a Lua with the script in it, and run that where a method of it is called.
    Load(Load),
    /// Call the function.
    Call(Lua, Function, Vec<Value>),
    /// Go on: the results are of a call, or have the method that was asked for.
    Run(Lua, AsyncThread<MultiValue>, Option<String>),
    Over,
}

/// Result of a job.
pub(crate) enum Done {
    Loaded(Lua, Function),
    Returned(Lua, Result<Value, Value>),
}

/// A job after a turn, and how long that took.
type Turned = (Job, Poll<Result<Done, Failure>>, Duration);

/// The turn that runs, also after its caller has left.
pub(crate) type Running = Option<JoinHandle<Turned>>;

impl Job {
    pub(crate) fn new(clock: &Arc<Clock>, stage: Stage) -> Self {
        Self { clock: Arc::clone(clock), stage }
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
            // Here, since it frees one by one what the script holds.
            self.stage = Stage::Over;
        }
        (self, polled, now().saturating_duration_since(began))
    }

    fn advance(&mut self, waker: &Waker) -> Result<Poll<Done>, Failure> {
        let allowance = &self.clock.allowance;
        let raised = |error: mlua::Error| allowance.failure(&error);
        let (lua, mut script, method) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Load(Load { compile, method }) => {
                let (lua, chunk) = compile(&self.clock)?;
                if method.is_none() {
                    allowance.close(&lua);
                    return Ok(Poll::Ready(Done::Loaded(lua, chunk)));
                }
                let script = begin(&lua, chunk, MultiValue::new()).map_err(raised)?;
                (lua, script, method)
            }
            Stage::Call(lua, entry, args) => {
                allowance.open(&lua, weight(&args)).map_err(raised)?;
                let args = args.iter().map(|value| write(&lua, value));
                let args: MultiValue = args.collect::<mlua::Result<_>>().map_err(raised)?;
                let script = begin(&lua, entry, args).map_err(raised)?;
                (lua, script, None)
            }
            Stage::Run(lua, script, method) => {
                allowance.open(&lua, 0).map_err(raised)?;
                (lua, script, method)
            }
            Stage::Over => return Err(Failure::Raised("the script is over".to_owned())),
        };
        let done = match Pin::new(&mut script).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(Ok(results)) => finish(&lua, results, method.as_deref()).map(Poll::Ready),
            Poll::Ready(Err(error)) => Err(raised(error)),
            Poll::Pending => Ok(Poll::Pending),
        };
        allowance.close(&lua);
        if let Ok(Poll::Pending) = done {
            self.stage = Stage::Run(lua, script, method);
        }
        done
    }
}

/// A thread of its own and not `call_async`: that one closes the script's variables when it is dropped, which runs code
/// of the script after its time.
fn begin(lua: &Lua, entry: Function, args: MultiValue) -> mlua::Result<AsyncThread<MultiValue>> {
    lua.create_thread(entry)?.into_async(args)
}

/// Reads results. A script answers with its first one; `nil` and a second one are its error.
fn finish(lua: &Lua, results: MultiValue, method: Option<&str>) -> Result<Done, Failure> {
    let mut results = results.into_iter();
    let first = results.next().unwrap_or(LuaValue::Nil);
    if let Some(method) = method {
        return Ok(Done::Loaded(lua.clone(), find(&first, method)?));
    }
    let second = results.next().unwrap_or(LuaValue::Nil);
    let is_error = first.is_nil() && !second.is_nil();
    let reader = Reader::new(lua).map_err(Failure::Setup)?;
    let read = reader.read(if is_error { &second } else { &first });
    let value = read.map_err(|error| Failure::Result(one_line(&error)))?;
    Ok(Done::Returned(lua.clone(), if is_error { Err(value) } else { Ok(value) }))
}

/// Ends a run however it ends, also when its future is dropped.
struct Ending<'c>(&'c Clock, bool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// Runs a job by `deadline`, turn by turn. `running` keeps the turn that runs where the future is dropped.
pub(crate) async fn drive(
    running: &mut Running,
    job: Job,
    current: Current,
    deadline: Option<Instant>,
) -> Result<Done, Failure> {
    let handle =
        Handle::try_current().map_err(|error| Failure::Setup(mlua::Error::external(error)))?;
    let clock = Arc::clone(&job.clock);
    clock.begin(deadline, current);
    let mut ending = Ending(&clock, false);
    let (started, mut computed) = (now(), Duration::ZERO);
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(Arc::clone(&bell));
    let mut job = Some(job);
    let done = loop {
        if let Some(job) = job.take() {
            let waker = waker.clone();
            *running = Some(handle.spawn_blocking(move || job.turn(&waker)));
        }
        let Some(turn) = running.as_mut() else { break None };
        let patience = deadline.and_then(|deadline| deadline.checked_add(GRACE));
        let Some(turned) = by(patience, turn).await else {
            // It was on its way from the start of its turn to now.
            computed = now().saturating_duration_since(started);
            break None;
        };
        *running = None;
        let (back, polled, took) = turned.map_err(|error| Failure::Raised(error.to_string()))?;
        computed += took;
        match polled {
            Poll::Ready(done) => break Some(done),
            Poll::Pending if clock.is_expired() => break None,
            Poll::Pending => job = Some(back),
        }
        if !clock.gave_way() && by(deadline, bell.0.notified()).await.is_none() {
            break None;
        }
    };
    if let Some(job) = job {
        drop(handle.spawn_blocking(move || drop(job)));
    }
    if let Some(ended) = clock.allowance.ended() {
        return Err(ended);
    }
    let waiting = now().saturating_duration_since(started).saturating_sub(computed);
    // Also one that got an answer out after its time.
    let done = done.filter(|_| !clock.is_expired());
    let done = done.ok_or(Failure::Deadline { running: computed, waiting })??;
    ending.1 = true;
    Ok(done)
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
