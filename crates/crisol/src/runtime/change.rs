//! A runtime that changes while it runs: one transaction after the other, each a new generation.

use std::sync::Arc;

use crisol_core::{CallError, EntryId};
use crisol_engine::EngineError;
use crisol_schema::{App, Changes, Problems};
use tokio::sync::OwnedMutexGuard;

use super::handle::{Inner, Runtime};
use super::settings::LoadError;
use crate::app::Generation;

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The generation that serves from now on.
    pub generation: u64,
    /// Entries that are new.
    pub added: Vec<EntryId>,
    /// Entries that are another now.
    pub replaced: Vec<EntryId>,
    /// Entries that are gone.
    pub removed: Vec<EntryId>,
    /// Functions that were made anew, by their own entry or by one that they depend on. All others kept
    /// their pools.
    pub rebuilt: Vec<EntryId>,
}

/// Why a change was not made. What served before still serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Something is wrong with the app as it would be: all that was found, each in its place.
    #[error("{0}")]
    App(Problems),
    /// The WebAssembly engine could not be set up for it.
    #[error(transparent)]
    Engine(EngineError),
    /// An instance that a warm start calls for could not be made.
    #[error("the changed app does not start")]
    Warm(#[source] CallError),
    /// The thread that did the work is gone: it panicked, or the program is ending.
    #[error("the change was given up half way")]
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

/// A change that is made up to its last step: loaded, verified, compiled and warmed, and not current yet.
///
/// Other changes of the runtime wait until it is committed or dropped; dropping it gives it up.
#[must_use = "a change that is dropped is given up"]
pub struct PreparedChange {
    inner: Arc<Inner>,
    old: Arc<Generation>,
    new: Arc<Generation>,
    applied: Applied,
    _turn: OwnedMutexGuard<()>,
}

impl PreparedChange {
    /// The app as it will be.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.new
    }

    /// The changes that [`PreparedChange::commit`] makes.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Makes the change: every later call sees it. Nothing can fail any longer.
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
    /// Adds, replaces and removes entries: all of it, or none when anything is wrong.
    ///
    /// The changed app is verified, compiled and warmed on threads of its own while the old one serves,
    /// and then takes its place in one step. Calls that run by then end in the old generation, with all
    /// that they still call; every later call sees the new one. Functions of which nothing has changed
    /// keep their pools. Changes are made one after the other, in the order in which they were asked for.
    ///
    /// Dropping the future gives the change up, unless it has been made. To be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// See [`ChangeError`]; the old app then serves on.
    pub async fn apply(&self, changes: Changes) -> Result<Applied, ChangeError> {
        Ok(self.prepare(changes).await?.commit())
    }

    /// Reads the app again, as a start would: what its files say now takes the place of what they said,
    /// and of changes made by [`Runtime::apply`]. In all else it is as that.
    ///
    /// # Errors
    /// See [`ChangeError`]; the old app then serves on.
    pub async fn reload(&self) -> Result<Applied, ChangeError> {
        Ok(self.prepare_reload().await?.commit())
    }

    /// Prepares what [`Runtime::apply`] does: all of it but the last step, so that something else can
    /// be prepared with it, and both made together or neither. `Serving::commit` does
    /// that with routes and sockets.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn prepare(&self, changes: Changes) -> Result<PreparedChange, ChangeError> {
        self.succeed(move |inner, old| inner.settings.change(old, &changes)).await
    }

    /// Prepares what [`Runtime::reload`] does, as [`Runtime::prepare`] does for [`Runtime::apply`].
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
        // Tokio's own lock: it is fair, and made to be held while the work is waited for.
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
