//! The trait of a slice: the façade's side of one family of kinds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crisol_core::EntryId;
use crisol_schema::{Entry, Retry};

use crate::app::HostResources;
use crate::call::Retrying;
use crate::load::field_error::FieldError;
use crate::load::guest_entry::GuestEntry;
use crate::load::loading::{Loaded, Loading};

/// A family of kinds.
pub(crate) trait Slice {
    /// Loads an entry: adds what it comes to, or what it was in the generation before.
    ///
    /// # Errors
    /// When something is wrong with a field.
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError>;

    /// The guest that an entry has, if any.
    fn guest<'a>(&'a self, _id: &'a EntryId) -> Option<GuestEntry<'a>> {
        None
    }

    /// The entries that what it comes to is made of.
    fn depends_on(&self) -> Vec<&EntryId>;

    /// Whether things outside of the app that an entry names are those that it named before.
    fn is_same(&self, _id: &EntryId, _before: &HostResources, _now: &HostResources) -> bool {
        true
    }

    /// The files and folders that it is loaded from, other than index files and what those name as `file://`.
    fn reads<'a>(&'a self, id: &'a EntryId) -> Vec<Read<'a>>;
}

/// A place on disk that an entry is loaded from.
pub(crate) enum Read<'a> {
    /// A file.
    File(&'a Path),
    /// A file in the folder of an entry.
    FileIn { fs: &'a EntryId, path: &'a Path },
    /// The folder of an entry.
    Folder(&'a EntryId),
    /// The folder of an entry, which a guest may write in.
    Written(&'a EntryId),
}

/// Repeats calls of a function as its entry says, within its own limit.
pub(super) fn retry(
    id: &EntryId,
    retry: Option<&Retry>,
    max_execution: Duration,
    loaded: &mut Loaded,
) {
    if let Some(retry) = retry {
        let retrying = Retrying { retry: retry.clone(), max_execution };
        loaded.assembled.interceptors.add(id, Arc::new(retrying));
    }
}
