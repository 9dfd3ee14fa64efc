//! Host operations that a script waits for, such as a timer or a call.
//!
//! A module returns a [`Waiting`] to the prelude, which polls it and yields to the host while it is pending.
//! mlua's own async functions would compile a loop for that in each state. Their futures also own the state
//! in which they are stored, so that only a garbage collection could free it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use mlua::{Error, Lua, MultiValue, Result, UserData, UserDataRefMut, Value};

use crate::clock::Clock;

/// Converts the outcome of an operation to its results in Lua.
type Finish = Box<dyn FnOnce(&Lua) -> Result<MultiValue> + Send>;

type Operation = Pin<Box<dyn Future<Output = Finish> + Send>>;

/// An operation in progress, until it has ended. It may not own the Lua instance.
///
/// mlua requires that values are `Sync`; the lock makes it so and is never taken.
pub(crate) struct Waiting(Mutex<Option<Operation>>);

impl UserData for Waiting {}

impl Waiting {
    /// Creates an operation that awaits `future` and passes its outcome to `finish`.
    pub(super) fn new<F, R>(future: F, finish: R) -> Self
    where
        F: Future<Output: Send> + Send + 'static,
        R: FnOnce(&Lua, F::Output) -> Result<MultiValue> + Send + 'static,
    {
        let operation: Operation = Box::pin(async move {
            let outcome = future.await;
            let finish: Finish = Box::new(move |lua| finish(lua, outcome));
            finish
        });
        Self(Mutex::new(Some(operation)))
    }
}

/// Polls an operation for the prelude: `true` and the results, or nothing while it is pending.
pub(crate) fn poll(lua: &Lua, mut waiting: UserDataRefMut<Waiting>) -> Result<MultiValue> {
    let waker = Clock::of(lua)?.waker();
    let operation = waiting.0.get_mut().unwrap_or_else(PoisonError::into_inner);
    let running = operation.as_mut().ok_or_else(|| Error::runtime("the operation has ended"))?;
    match running.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Pending => Ok(MultiValue::new()),
        Poll::Ready(finish) => {
            *operation = None;
            let mut results = finish(lua)?;
            results.push_front(Value::Boolean(true));
            Ok(results)
        }
    }
}
