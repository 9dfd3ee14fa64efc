//! Making a worker, and the reasons for a failure.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::error::PoolError;
use crate::factory::Factory;

/// Reason why the factory made no worker.
pub(crate) enum MakeError<E> {
    Failed(E),
    Panicked(String),
}

impl<E> From<MakeError<E>> for PoolError<E> {
    fn from(error: MakeError<E>) -> Self {
        match error {
            MakeError::Failed(error) => Self::Factory(error),
            MakeError::Panicked(message) => Self::FactoryPanicked { message },
        }
    }
}

/// Makes a worker; catches a panic of the factory.
pub(crate) async fn make<F: Factory>(factory: &F) -> Result<F::Worker, MakeError<F::Error>> {
    let mut making = pin!(async { factory.make().await });
    std::future::poll_fn(|cx| {
        // The future is dropped after a panic and never polled again, so no broken state is observed.
        match catch_unwind(AssertUnwindSafe(|| making.as_mut().poll(cx))) {
            Ok(made) => made.map_err(MakeError::Failed),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Poll::Ready(Err(MakeError::Panicked(
                    text.unwrap_or_else(|| "no message".to_owned()),
                )))
            }
        }
    })
    .await
}
