//! What holds a script to its time: a hook that counts instructions, and the driver that polls it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, Table, VmState};

use crate::allowance::Allowance;

/// Instructions between two looks at the clock: a few microseconds of ordinary code.
const INSTRUCTIONS_PER_LOOK: u32 = 1000;

/// How long a script computes before it gives way to other tasks.
const TURN: Duration = Duration::from_millis(2);

/// Where the prelude finds out that time is up.
pub(crate) const GATE: &str = "crisol.gate";

/// Reads the clock of tokio's timers, which a test can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The clock of one state.
#[derive(Debug)]
pub(crate) struct Clock {
    times: Mutex<Times>,
    expired: AtomicBool,
    /// The script yielded to give way, not to wait.
    gave_way: AtomicBool,
    /// Its memory, which is looked at as often as its time.
    pub(crate) allowance: Allowance,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    deadline: Option<Instant>,
    turn: Instant,
}

/// Where the time of a run went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) running: Duration,
    pub(crate) waiting: Duration,
}

impl Clock {
    pub(crate) fn new(allowance: Allowance) -> Arc<Self> {
        let times = Mutex::new(Times { deadline: None, turn: now() });
        let (expired, gave_way) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { times, expired, gave_way, allowance })
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether time is up; asked by whatever may take long.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        if self.times().deadline.is_some_and(|deadline| now >= deadline) {
            self.expired.store(true, Ordering::Relaxed);
        }
        self.expired.load(Ordering::Relaxed)
    }

    /// Sets the hook that interrupts scripts.
    pub(crate) fn watch(self: &Arc<Self>, lua: &Lua) -> mlua::Result<()> {
        let clock = Arc::clone(self);
        let triggers = HookTriggers::new().every_nth_instruction(INSTRUCTIONS_PER_LOOK);
        lua.set_global_hook(triggers, move |lua, _| clock.look(lua))
    }

    fn look(&self, lua: &Lua) -> mlua::Result<VmState> {
        let now = now();
        let was_over = self.expired.load(Ordering::Relaxed);
        if !self.allowance.keeps_ahead(lua) {
            self.expired.store(true, Ordering::Relaxed);
        }
        if self.is_over(now) {
            lua.named_registry_value::<Table>(GATE)?.raw_set("expired", true)?;
            // A script that yields now is never resumed, so no `pcall` or `<close>` of its has a say. Where
            // it cannot yield it comes by here again, and has to be thrown out.
            return if was_over { Err(expired()) } else { Ok(VmState::Yield) };
        }
        Ok(if self.gives_way(now) { VmState::Yield } else { VmState::Continue })
    }

    /// Whether the script has computed for so long that others are to have a turn: it must yield then.
    pub(crate) fn gives_way(&self, now: Instant) -> bool {
        let mut times = self.times();
        if now.duration_since(times.turn) < TURN {
            return false;
        }
        times.turn = now;
        self.gave_way.store(true, Ordering::Relaxed);
        true
    }

    /// Drives a script's future by `deadline`: its output if it came to its end in time.
    pub(crate) async fn drive<F: Future>(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        future: F,
    ) -> (Option<F::Output>, Stretch) {
        let started = now();
        *self.times() = Times { deadline, turn: started };
        let mut running = Duration::ZERO;
        let counted = self.poll_in_turns(future, &mut running);
        let output = match deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), counted).await.ok().flatten()
            }
            None => counted.await,
        };
        // Also one that got an answer out after its time.
        let output = output.filter(|_| !self.expired.load(Ordering::Relaxed));
        let waiting = now().saturating_duration_since(started).saturating_sub(running);
        (output, Stretch { running, waiting })
    }

    async fn poll_in_turns<F: Future>(
        self: &Arc<Self>,
        future: F,
        running: &mut Duration,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut yielding: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        poll_fn(|cx| {
            if let Some(given) = &mut yielding {
                std::task::ready!(given.as_mut().poll(cx));
                yielding = None;
            }
            let entered = now();
            self.times().turn = entered;
            let inner =
                Waker::from(Arc::new(Turn { task: cx.waker().clone(), clock: Arc::clone(self) }));
            let polled = future.as_mut().poll(&mut Context::from_waker(&inner));
            *running += now().saturating_duration_since(entered);
            match polled {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if self.expired.load(Ordering::Relaxed) => Poll::Ready(None),
                Poll::Pending => {
                    if self.gave_way.swap(false, Ordering::Relaxed) {
                        let mut given: Pin<Box<dyn Future<Output = ()> + Send>> =
                            Box::pin(tokio::task::yield_now());
                        // The first poll of it never is the last: it has the scheduler wake this task.
                        let _ = given.as_mut().poll(cx);
                        yielding = Some(given);
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}

pub(crate) fn expired() -> mlua::Error {
    mlua::Error::runtime("the deadline passed")
}

/// A script that gives way wakes its task at once; what wakes it here is tokio's own yield instead, which
/// lets timers and sockets be looked after first.
struct Turn {
    task: Waker,
    clock: Arc<Clock>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.clock.gave_way.load(Ordering::Relaxed) {
            self.task.wake_by_ref();
        }
    }
}
