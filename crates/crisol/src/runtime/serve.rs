//! Serving: runs every edge of an app, first for the current generation, then for later ones.

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

/// Starts all edges, each with nothing to serve.
async fn edges() -> Result<Vec<Box<dyn Edge>>, ServeError> {
    Ok(vec![Box::new(Http::start().await?)])
}

/// An app that is being served. Dropping it closes every connection; see [`Serving::stop`] for a graceful end.
pub struct Serving {
    runtime: Runtime,
    options: ServeOptions,
    edges: Vec<Box<dyn Edge>>,
    draining: Arc<AtomicBool>,
}

/// Readiness for probes: ready until [`Serving::drain`] or [`Serving::stop`].
#[derive(Debug, Clone)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Tells whether the app wants new clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

impl Runtime {
    /// Listens on every address of the app and serves its current generation. Call it within a tokio runtime.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use crisol::Runtime;
    /// use crisol::http::ServeOptions;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::builder().app("app").load()?;
    /// runtime.warm().await?;
    /// let serving = runtime.serve(ServeOptions::default()).await?;
    /// for service in serving.listening() {
    ///     println!("{} listens on {}", service.service, service.addr);
    /// }
    /// tokio::time::sleep(Duration::from_secs(60)).await;
    /// serving.stop(Duration::from_secs(30)).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ServeError`] if the app has nothing to serve, or an address does not resolve or cannot be listened on.
    pub async fn serve(&self, options: ServeOptions) -> Result<Serving, ServeError> {
        let (runtime, draining) = (self.clone(), Arc::default());
        let mut serving = Serving { runtime, options, edges: edges().await?, draining };
        serving.take(&self.generation(), Duration::ZERO, || ()).await?;
        Ok(serving)
    }
}

impl Serving {
    /// Returns the services that listen, with their addresses.
    #[must_use]
    pub fn listening(&self) -> Vec<Listening> {
        self.edges.iter().flat_map(|edge| edge.listening()).collect()
    }

    /// Serves the runtime's current generation: its routes call its functions. Running requests finish in their
    /// generation, those of services that are gone within `grace`. Services that stay keep their sockets and
    /// connections.
    ///
    /// Use it after [`Runtime::apply`]; use [`Serving::commit`] for a change that routes or sockets can still refuse.
    ///
    /// # Errors
    /// Fails if the app has nothing left to serve, or an address is not available. The generation that was served
    /// last then stays served.
    pub async fn refresh(&mut self, grace: Duration) -> Result<(), ServeError> {
        let generation = self.runtime.generation();
        self.take(&generation, grace, || ()).await
    }

    /// Commits a prepared change of the runtime and serves it, in one step: functions, routes, sockets and certificates
    /// change together or not at all.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn reload(
    /// #     runtime: crisol::Runtime,
    /// #     mut serving: crisol::http::Serving,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let change = runtime.prepare_reload().await?;
    /// let applied = serving.commit(change, Duration::from_secs(30)).await?;
    /// println!("generation {} is served", applied.generation);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails if the app has nothing left to serve, or an address is not available. The runtime's current generation
    /// and the served one then stay as they are.
    pub async fn commit(
        &mut self,
        change: PreparedChange,
        grace: Duration,
    ) -> Result<Applied, ServeError> {
        let generation = Arc::clone(change.generation());
        self.take(&generation, grace, || change.commit()).await
    }

    /// Serves a generation on every edge. Calls `commit` once every step that can fail has succeeded.
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

    /// Asks clients to go elsewhere, and continues to serve: [`Serving::readiness`] turns false, and every HTTP/1.1
    /// response closes its connection. Call it some time before [`Serving::stop`], so that load balancers notice:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(serving: crisol::http::Serving) {
    /// serving.drain();
    /// tokio::time::sleep(Duration::from_secs(10)).await;
    /// serving.stop(Duration::from_secs(30)).await;
    /// # }
    /// ```
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        for edge in &self.edges {
            edge.drain();
        }
    }

    /// Returns the readiness of this app, for a probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness(Arc::clone(&self.draining))
    }

    /// Stops accepting connections, serves requests that have arrived, lets running ones finish within `grace`, and
    /// cuts the rest. Returns the numbers of connections that finished and that were cut.
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
