//! Changes of a running app: one transaction at a time, each producing a new generation.

use std::sync::Arc;

use crisol_core::{CallError, EntryId};
use crisol_engine::EngineError;
use crisol_schema::{App, Changes, Problems};
use tokio::sync::OwnedMutexGuard;

use super::handle::{Inner, Runtime};
use super::settings::LoadError;
use crate::app::Generation;

/// Result of a change: the new generation and the entries that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Number of the new generation.
    pub generation: u64,
    /// Entries that were added.
    pub added: Vec<EntryId>,
    /// Entries whose declaration differs.
    pub replaced: Vec<EntryId>,
    /// Entries that were removed.
    pub removed: Vec<EntryId>,
    /// Functions and HTTP handlers that were rebuilt, since their entry or one that they depend on changed. All others
    /// that existed before kept their pools.
    pub rebuilt: Vec<EntryId>,
}

/// Error of a change that was not made. The current generation continues to serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The changed app has errors: every problem, with its location.
    #[error("{0}")]
    App(Problems),
    /// The WebAssembly engine could not be created.
    #[error(transparent)]
    Engine(EngineError),
    /// An instance for `pool.warm_start` could not be created.
    #[error("the changed app does not start")]
    Warm(#[source] CallError),
    /// The worker thread ended early: it panicked, or the tokio runtime is shutting down.
    #[error("the change was aborted")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl From<LoadError> for ChangeError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::App(problems) => Self::App(problems),
            LoadError::Engine(error) => Self::Engine(error),
        }
    }
}

/// A prepared change: its generation is loaded, verified, compiled and warmed, but not yet current.
///
/// Other changes of the runtime wait until this one is committed or dropped. Dropping it discards the change.
#[must_use = "dropping a change discards it"]
pub struct PreparedChange {
    inner: Arc<Inner>,
    old: Arc<Generation>,
    new: Arc<Generation>,
    applied: Applied,
    _turn: OwnedMutexGuard<()>,
}

impl PreparedChange {
    /// The generation that [`PreparedChange::commit`] makes current.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.new
    }

    /// The changes that [`PreparedChange::commit`] makes.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Makes the new generation current: every later call runs in it. Cannot fail.
    pub fn commit(self) -> Applied {
        self.inner.replace(self.old, self.new);
        self.applied
    }
}

impl std::fmt::Debug for PreparedChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PreparedChange").field(&self.applied).finish()
    }
}

impl Runtime {
    /// Adds, replaces and removes entries in one transaction: all of the changes, or none if there is an error.
    ///
    /// The changed app is verified and compiled on a blocking thread, and then warmed, while the old generation
    /// serves. The new generation then becomes current in one step. Calls that are running finish in the old
    /// generation, nested calls included; later calls run in the new one. Unchanged functions keep their pools.
    /// Changes run one at a time, in the order of their requests.
    ///
    /// Dropping the future discards a change that is not made yet. Call it within a tokio runtime.
    ///
    /// ```no_run
    /// use crisol::change::Changes;
    ///
    /// # async fn example(runtime: crisol::Runtime) -> Result<(), Box<dyn std::error::Error>> {
    /// let index = "
    /// namespace: app
    /// entries:
    ///   - {name: answer, kind: function.wat, method: answer, source: 'file://answer.wat'}
    /// ";
    /// let answer = r#"(module (func (export "answer") (result i32) i32.const 42))"#;
    /// let changes = Changes::new().put(index).file("answer.wat", answer).remove("app:question".parse()?);
    /// let applied = runtime.apply(changes).await?;
    /// println!("generation {}: {:?} were rebuilt", applied.generation, applied.rebuilt);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`ChangeError`]; the old generation then stays current.
    pub async fn apply(&self, changes: Changes) -> Result<Applied, ChangeError> {
        Ok(self.prepare(changes).await?.commit())
    }

    /// Reads the app's files again, like a restart. Their content replaces the current entries, changes made by
    /// [`Runtime::apply`] included. The transaction is the same as that of [`Runtime::apply`].
    ///
    /// # Errors
    /// See [`ChangeError`]; the old generation then stays current.
    pub async fn reload(&self) -> Result<Applied, ChangeError> {
        Ok(self.prepare_reload().await?.commit())
    }

    /// Does all the work of [`Runtime::apply`] except the commit, so that a caller can prepare other things and commit
    /// both or neither. `Serving::commit` does so with routes and sockets.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn prepare(&self, changes: Changes) -> Result<PreparedChange, ChangeError> {
        self.succeed(move |inner, old| inner.settings.change(old, &changes)).await
    }

    /// Does all the work of [`Runtime::reload`] except the commit; see [`Runtime::prepare`].
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn prepare_reload(&self) -> Result<PreparedChange, ChangeError> {
        self.succeed(|inner, _| inner.settings.read()).await
    }

    async fn succeed(
        &self,
        app: impl FnOnce(&Inner, &Generation) -> Result<App, LoadError> + Send + 'static,
    ) -> Result<PreparedChange, ChangeError> {
        // Tokio's mutex: it is fair, and may be held across an await.
        let turn = Arc::clone(&self.0.changing).lock_owned().await;
        let old = self.generation();
        let (inner, before) = (Arc::clone(&self.0), Arc::clone(&old));
        let made = tokio::task::spawn_blocking(move || {
            let app = app(&inner, &before)?;
            let number = before.number() + 1;
            inner.settings.generation(&inner.engine, number, app, Some(&before))
        });
        let new = made.await.map_err(ChangeError::Interrupted)??;
        new.warm(Some(&old)).await.map_err(ChangeError::Warm)?;
        let applied = compare(&old, &new);
        Ok(PreparedChange { inner: Arc::clone(&self.0), old, new, applied, _turn: turn })
    }
}

fn compare(old: &Generation, new: &Generation) -> Applied {
    let mut applied = Applied {
        generation: new.number(),
        added: Vec::new(),
        replaced: Vec::new(),
        removed: Vec::new(),
        rebuilt: Vec::new(),
    };
    for entry in new.registry() {
        match old.registry().get(entry.id.as_str()) {
            None => applied.added.push(entry.id.clone()),
            Some(before) if before != entry => applied.replaced.push(entry.id.clone()),
            Some(_) => {}
        }
        if let (Some(one), Some(two)) = (old.callable(&entry.id), new.callable(&entry.id))
            && !one.is_same(two)
        {
            applied.rebuilt.push(entry.id.clone());
        }
        #[cfg(feature = "http")]
        if let (Some(one), Some(two)) = (old.handler(&entry.id), new.handler(&entry.id))
            && !Arc::ptr_eq(&one, &two)
        {
            applied.rebuilt.push(entry.id.clone());
        }
    }
    let gone =
        old.registry().iter().filter(|entry| new.registry().get(entry.id.as_str()).is_none());
    applied.removed = gone.map(|entry| entry.id.clone()).collect();
    applied
}
