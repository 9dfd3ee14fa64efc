//! The slice trait: loading and reuse of one family of kinds.

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

/// The façade's part of a family of kinds.
pub(crate) trait Slice {
    /// Loads an entry: adds its callable, handler or command to `loaded`, newly built or taken over from the generation
    /// before.
    ///
    /// # Errors
    /// Fails if a field is wrong.
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError>;

    /// Returns the guest fields of an entry; none if its kind has no guest.
    fn guest<'a>(&'a self, _id: &'a EntryId) -> Option<GuestEntry<'a>> {
        None
    }

    /// Returns the entries that this one depends on.
    fn depends_on(&self) -> Vec<&EntryId>;

    /// Tells whether folders and files outside the registry that the entry names are the same as before.
    fn is_same(&self, _id: &EntryId, _before: &HostResources, _now: &HostResources) -> bool {
        true
    }

    /// Returns the files and folders that it is loaded from, except index files and their `file://` sources.
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
    /// The folder of an entry, which a guest may write to.
    Written(&'a EntryId),
}

/// Adds the interceptor that retries a function's calls, if its entry has `meta.options.retry`.
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
