//! Making a worker, and the reasons for a failure.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::factory::Factory;
use crate::refused::Refused;

/// Reason why the factory made no worker.
pub(crate) enum Unmade<E> {
    Failed(E),
    Panicked(String),
}

impl<E> From<Unmade<E>> for Refused<E> {
    fn from(unmade: Unmade<E>) -> Self {
        match unmade {
            Unmade::Failed(error) => Self::Factory(error),
            Unmade::Panicked(message) => Self::FactoryPanicked { message },
        }
    }
}

/// Makes a worker; catches a panic of the factory.
pub(crate) async fn make<F: Factory>(factory: &F) -> Result<F::Worker, Unmade<F::Error>> {
    let mut making = pin!(async { factory.make().await });
    std::future::poll_fn(|cx| {
        // The future is dropped after a panic and never polled again, so no broken state is observed.
        match catch_unwind(AssertUnwindSafe(|| making.as_mut().poll(cx))) {
            Ok(made) => made.map_err(Unmade::Failed),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Poll::Ready(Err(Unmade::Panicked(text.unwrap_or_else(|| "no message".to_owned()))))
            }
        }
    })
    .await
}
