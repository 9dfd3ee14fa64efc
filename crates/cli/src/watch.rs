//! Watcher of an app's files: the watched folders, and the filter of their events.
//!
//! Every folder that can hold an index file is watched by itself, except hidden ones and `node_modules`. So are the
//! folders around each path that the app names, and around each symbolic link on the way there: editors replace files,
//! deployments change links, and folders are removed and created again. These events count:
//!
//! - all about an index file, a path that the app was read from, or a folder above one;
//! - in the app, files with an extension that apps use, and new folders and links: they may contain an index;
//! - while the app on disk does not load, everything in the app: the missing file may have any name.
//!
//! In folders that guests write in, only the first counts: they change all the time. An event has no details; it means
//! that the app must be read again, once no more events arrive.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crisol::registry::{MAX_FOLDERS, SourcePaths, is_index_file, is_searched_folder};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Extensions of files that apps use.
const EXTENSIONS: [&str; 8] = ["wat", "wasm", "wit", "lua", "pem", "crt", "cer", "key"];
/// Most links that one path may follow, as on Linux.
const MAX_LINKS: usize = 40;
/// Time without events after which a save is taken as finished.
const QUIET: Duration = Duration::from_millis(50);
/// Longest time that a change waits for [`QUIET`].
const PATIENCE: Duration = Duration::from_secs(1);

/// Watcher of files; stops when dropped.
pub(crate) struct Watch {
    /// Notified of changes: stores one permit for any number of them.
    changed: Arc<Notify>,
    folders: BTreeSet<PathBuf>,
    _watcher: RecommendedWatcher,
}

/// Filter for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Events about paths of the app.
    Named,
    /// All events in the app: its paths are unknown, or are being read.
    Anything,
}

impl Watch {
    /// Watches the paths that an app is read from, and notifies `changed`.
    pub(crate) fn begin(
        reads: &SourcePaths,
        scope: Scope,
        changed: &Arc<Notify>,
    ) -> notify::Result<Self> {
        let interest = Interest::of(reads, scope);
        let folders = interest.folders();
        let told = Arc::clone(changed);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that the watcher missed an event, which may have been relevant.
            if event.is_ok_and(|event| interest.is_about(&event)) {
                told.notify_one();
            }
        })?;
        let mut paths = watcher.paths_mut();
        for folder in &folders {
            match paths.add(folder, RecursiveMode::NonRecursive) {
                // The folder is gone, which the folder above it has reported, or may not be read.
                Err(error) if is_local(&error) => {}
                other => other?,
            }
        }
        paths.commit()?;
        Ok(Self { changed: Arc::clone(changed), folders, _watcher: watcher })
    }

    /// Returns true if `other` watches every folder of this watch too, so that it saw earlier changes there.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.folders.is_subset(&other.folders)
    }

    /// Waits until no more events arrive.
    pub(crate) async fn settle(&self) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE && timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }
}

/// Returns true for an error about one folder only, so the others can still be watched.
fn is_local(error: &notify::Error) -> bool {
    use std::io::ErrorKind;
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
        }
        _ => false,
    }
}

/// Filter of relevant events, with real paths, as events have them.
#[derive(Debug)]
struct Interest {
    /// Folder of the app, with all links followed.
    root: Option<PathBuf>,
    /// Paths that the app names, and links on the way there.
    named: BTreeSet<PathBuf>,
    /// Folders that guests write in.
    written: Vec<PathBuf>,
    scope: Scope,
}

impl Interest {
    fn of(reads: &SourcePaths, scope: Scope) -> Self {
        let named = reads.app.iter().chain(&reads.files).chain(&reads.folders);
        let last = |path: &PathBuf| trail(path).pop();
        Self {
            root: reads.app.as_ref().and_then(last),
            named: named.flat_map(|path| trail(path)).collect(),
            written: reads.written.iter().filter_map(last).collect(),
            scope,
        }
    }

    fn is_about(&self, event: &Event) -> bool {
        let appears = match event.kind {
            // The system dropped events.
            _ if event.need_rescan() => return true,
            // Reading the app creates events too.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => return false,
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
            // The folder may have become readable.
            EventKind::Modify(ModifyKind::Metadata(_)) => true,
            _ => false,
        };
        event.paths.iter().any(|path| self.concerns(path, appears))
    }

    /// Returns true if an event at a path is relevant; `appears` is true when the path may be new.
    fn concerns(&self, path: &Path, appears: bool) -> bool {
        // Paths are sorted by their parts, so the paths below one follow it directly.
        let next = self.named.range::<Path, _>((Bound::Included(path), Bound::Unbounded)).next();
        if next.is_some_and(|next| next.starts_with(path)) {
            return true;
        }
        let Some(inside) = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok()) else {
            return false;
        };
        let (Some(above), Some(name)) = (inside.parent(), inside.file_name()) else { return false };
        if !above.iter().all(is_searched) {
            return false;
        }
        if name.to_str().is_some_and(is_index_file) {
            return true;
        }
        if self.written.iter().any(|folder| path.starts_with(folder)) {
            return false;
        }
        let is_part =
            || path.extension().is_some_and(|own| EXTENSIONS.iter().any(|one| own == *one));
        let leads_on = || {
            appears
                && is_searched(name)
                && fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file())
        };
        self.scope == Scope::Anything || is_part() || leads_on()
    }

    /// Folders with relevant events.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        if let Some(root) = &self.root {
            search(root, 0, &mut folders);
        }
        for place in &self.named {
            // The nearest folder above that exists.
            folders
                .extend(place.ancestors().skip(1).find(|above| above.is_dir()).map(Path::to_owned));
        }
        folders
    }
}

/// Returns true if the app looks for index files in a folder of this name.
fn is_searched(name: &OsStr) -> bool {
    is_searched_folder(&name.to_string_lossy())
}

/// Collects every folder that may hold an index file. Links are not followed, as in the app's own search.
fn search(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    found.insert(folder.to_owned());
    if depth == MAX_FOLDERS {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_searched(&entry.file_name()) {
            search(&entry.path(), depth + 1, found);
        }
    }
}

/// Links on a path, and its end, which may be missing.
fn trail(path: &Path) -> Vec<PathBuf> {
    let Ok(path) = std::path::absolute(path) else { return vec![path.to_owned()] };
    let mut met = Vec::new();
    let mut at = PathBuf::new();
    let mut left: Vec<OsString> = parts(&path);
    while let Some(part) = left.pop() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::CurDir) | None => {}
            // An absolute part replaces the path so far.
            _ => at.push(&part),
        }
        if met.len() < MAX_LINKS
            && let Ok(target) = fs::read_link(&at)
        {
            met.push(at.clone());
            at.pop();
            left.extend(parts(&target));
        }
    }
    met.push(at);
    met
}

/// Parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use notify::event::{CreateKind, DataChange};

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    /// App with a script of an unusual name, a folder that guests write in, and a binary elsewhere.
    fn app() -> std::io::Result<(tempfile::TempDir, PathBuf, SourcePaths)> {
        let dir = tempfile::tempdir()?;
        let base = dir.path().canonicalize()?;
        let app = base.join("app");
        for folder in ["app/data", "app/.git", "app/node_modules/x", "app/src/deep", "wasm"] {
            fs::create_dir_all(base.join(folder))?;
        }
        let mut reads = SourcePaths::of_app(&app);
        reads
            .files
            .extend(["_index.yaml", "src/numbers.txt", "data/f.lua"].map(|name| app.join(name)));
        reads.files.insert(base.join("wasm/f.bin"));
        reads.folders.extend([app.join("data"), base.join("wasm")]);
        reads.written.insert(app.join("data"));
        Ok((dir, base, reads))
    }

    #[test]
    fn app_files_count_and_guest_writes_do_not() -> Tested {
        let (_dir, base, reads) = app()?;
        let counts = |scope, appears| {
            let interest = Interest::of(&reads, scope);
            let base = base.clone();
            move |path: &str| interest.concerns(&base.join(path), appears)
        };
        let named = counts(Scope::Named, false);
        let by_name = ["app/_index.yaml", "app/src/deep/_index.json", "app/data/x/_index.yml"];
        let by_registry =
            ["app/src/numbers.txt", "app/data/f.lua", "wasm/f.bin", "app/src", "app", "wasm"];
        let by_extension = ["app/new.wat", "app/src/deep/new.wasm", "app/src/key.pem"];
        for path in by_name.into_iter().chain(by_registry).chain(by_extension) {
            assert!(named(path), "{path}");
        }
        let others =
            ["app/notes.txt", "app/src/_index.yaml~", "app/data/out.txt", "app/data/new.lua"];
        let hidden = ["app/.git/_index.yaml", "app/.git/x.lua", "app/node_modules/x/_index.yaml"];
        let elsewhere = ["wasm/other.wasm", "other.wat"];
        for path in others.into_iter().chain(hidden).chain(elsewhere) {
            assert!(!named(path), "{path}");
        }
        let anything = counts(Scope::Anything, false);
        assert!(anything("app/notes.txt") && anything("app/src/x"));
        assert!(!anything("app/data/out.txt") && !anything("app/.git/x") && !anything("other.wat"));
        // A new path may contain an index.
        let appears = counts(Scope::Named, true);
        assert!(appears("app/src/deep") && !named("app/src/deep"));
        assert!(!appears("app/.git") && !appears("app/data/x") && !appears("app/notes.txt"));
        Ok(())
    }

    #[test]
    fn reading_a_file_is_not_a_change() -> Tested {
        let (_dir, base, reads) = app()?;
        let interest = Interest::of(&reads, Scope::Named);
        let about =
            |kind| interest.is_about(&Event::new(kind).add_path(base.join("app/_index.yaml")));
        assert!(!about(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!about(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(about(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(about(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
        assert!(about(EventKind::Create(CreateKind::File)));
        let lost = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(interest.is_about(&lost));
        Ok(())
    }

    #[test]
    fn folders_with_indexes_and_around_links_are_watched() -> Tested {
        let (_dir, base, mut reads) = app()?;
        fs::create_dir(base.join("links"))?;
        symlink("../app/src", base.join("links/src"))?;
        reads.files.insert(base.join("links/src/missing/f.wat"));
        let interest = Interest::of(&reads, Scope::Named);
        let folders = ["", "app", "app/data", "app/src", "app/src/deep", "links", "wasm"];
        let wanted: BTreeSet<_> =
            folders.map(|folder| base.join(folder).components().collect()).into();
        assert_eq!(interest.folders(), wanted);
        assert!(interest.concerns(&base.join("links/src"), false));
        assert!(interest.concerns(&base.join("app/src/missing"), false));
        // A circle of links ends.
        symlink("ring", base.join("ring"))?;
        assert!(trail(&base.join("ring/x")).len() <= MAX_LINKS + 1);
        Ok(())
    }
}
