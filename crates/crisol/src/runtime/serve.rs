//! Serving: every edge of an app, from the current generation on to the next ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crisol_server::Stopped;
use tokio::task::JoinSet;

use super::change::{Applied, PreparedChange};
use super::edge::{Edge, Listening, ServeError, ServeOptions};
use super::handle::Runtime;
use super::http::Http;
use crate::app::Generation;

/// All edges there are, serving nothing yet.
async fn edges() -> Result<Vec<Box<dyn Edge>>, ServeError> {
    Ok(vec![Box::new(Http::start().await?)])
}

/// An app that is being served. Dropping it cuts every connection; see [`Serving::stop`].
pub struct Serving {
    runtime: Runtime,
    options: ServeOptions,
    edges: Vec<Box<dyn Edge>>,
    draining: Arc<AtomicBool>,
}

/// Whether new clients are wanted, for a readiness probe: they are until [`Serving::drain`] or [`Serving::stop`].
#[derive(Debug, Clone)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether new clients are wanted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

impl Runtime {
    /// Listens on every address of the app and serves its current generation.
    ///
    /// # Errors
    /// When there is nothing to serve, or an address cannot be had.
    pub async fn serve(&self, options: ServeOptions) -> Result<Serving, ServeError> {
        let (runtime, draining) = (self.clone(), Arc::default());
        let mut serving = Serving { runtime, options, edges: edges().await?, draining };
        serving.take(&self.generation(), Duration::ZERO, || ()).await?;
        Ok(serving)
    }
}

impl Serving {
    /// The services that are served, with their addresses.
    #[must_use]
    pub fn listening(&self) -> Vec<Listening> {
        self.edges.iter().flat_map(|edge| edge.listening()).collect()
    }

    /// Serves the runtime's current generation from now on: its routes call its functions. Requests that
    /// run finish in theirs; sockets and connections of services that stay are kept.
    ///
    /// This follows a change that [`Runtime::apply`] has made already; [`Serving::commit`] makes one that
    /// routes or sockets can still refuse.
    ///
    /// # Errors
    /// When there is nothing left to serve, or an address cannot be had; then the last generation that could be is
    /// served on.
    pub async fn refresh(&mut self, grace: Duration) -> Result<(), ServeError> {
        let generation = self.runtime.generation();
        self.take(&generation, grace, || ()).await
    }

    /// Makes a prepared change of the runtime and serves it from then on, in one step: functions, routes,
    /// sockets and certificates, or nothing of it.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn reload(
    /// #     runtime: crisol::Runtime,
    /// #     mut serving: crisol::Serving,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let change = runtime.prepare_reload().await?;
    /// let applied = serving.commit(change, Duration::from_secs(30)).await?;
    /// println!("generation {} is served", applied.generation);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is nothing left to serve, or an address cannot be had; then neither what is served nor the
    /// runtime's current generation has changed.
    pub async fn commit(
        &mut self,
        change: PreparedChange,
        grace: Duration,
    ) -> Result<Applied, ServeError> {
        let generation = Arc::clone(change.generation());
        self.take(&generation, grace, || change.commit()).await
    }

    /// Serves a generation on every edge: `commit` is called when nothing can fail any longer.
    async fn take<T>(
        &mut self,
        generation: &Arc<Generation>,
        grace: Duration,
        commit: impl FnOnce() -> T,
    ) -> Result<T, ServeError> {
        let mut prepared = Vec::with_capacity(self.edges.len());
        for edge in &mut self.edges {
            prepared.push(edge.prepare(generation, &self.options).await?);
        }
        if prepared.iter().all(|edge| edge.is_empty()) {
            return Err(ServeError::Nothing);
        }
        let done = commit();
        for edge in prepared {
            edge.commit(grace);
        }
        Ok(done)
    }

    /// Sends clients elsewhere while everything is served on: [`Serving::readiness`] is over, and over
    /// HTTP/1.1 every response closes its connection. To be called some time before [`Serving::stop`], for load
    /// balancers that learn of the end late.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        for edge in &self.edges {
            edge.drain();
        }
    }

    /// Whether new clients are wanted, for a readiness probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness(Arc::clone(&self.draining))
    }

    /// Stops accepting, serves what has arrived, lets what runs finish within `grace`, and cuts the rest.
    pub async fn stop(self, grace: Duration) -> Stopped {
        self.drain();
        let mut stops: JoinSet<Stopped> =
            self.edges.into_iter().map(|edge| edge.stop(grace)).collect();
        let mut total = Stopped::default();
        while let Some(Ok(stopped)) = stops.join_next().await {
            total.finished += stopped.finished;
            total.aborted += stopped.aborted;
        }
        total
    }
}
