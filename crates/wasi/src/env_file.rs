//! File of variables: read again after a change, written as a whole or not at all.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, OpenOptions};
use crisol_core::EntryId;
use crisol_schema::{DirectoryPath, EnvName};

use crate::directory::Directory;
use crate::dotenv::Document;
use crate::error::{EnvError, FsError};
use crate::path_base::{self, FileState, PathBase};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Time after its last change during which a file is read at each access: a second change in the same tick of the file
/// system's clock leaves the date unchanged. FAT has the coarsest clock in use, two seconds.
const SETTLING: Duration = Duration::from_secs(2);

/// File of an `env.storage.file`.
#[derive(Debug)]
pub(crate) struct EnvFile {
    storage: EntryId,
    base: Result<PathBase, ()>,
    path: PathBuf,
    root: PathBuf,
    auto_init: bool,
    mode: Option<u32>,
    /// See [`SETTLING`].
    settling: Duration,
    known: RwLock<Option<CachedValues>>,
    /// Held while writing, so that two writers do not lose each other's values.
    writing: Mutex<()>,
}

/// Values of the file, and the state of the file that they belong to.
#[derive(Debug, Clone)]
struct CachedValues {
    stamp: FileState,
    values: Arc<HashMap<EnvName, String>>,
}

impl EnvFile {
    /// Makes the storage; `root` is the app's folder.
    pub(crate) fn new(
        storage: &EntryId,
        path: &DirectoryPath,
        root: Option<&Directory>,
        auto_init: bool,
        mode: Option<u32>,
    ) -> Self {
        let base = match root {
            _ if !path.is_inside_app() => Ok(PathBase::Host),
            Some(root) => Ok(root.base().clone()),
            None => Err(()),
        };
        Self {
            storage: storage.clone(),
            base,
            path: path.as_path().to_owned(),
            root: root.map(|root| root.path().to_owned()).unwrap_or_default(),
            auto_init,
            mode,
            settling: SETTLING,
            known: RwLock::new(None),
            writing: Mutex::new(()),
        }
    }

    /// Creates the file if it is missing and has `auto_init`.
    pub(crate) fn prepare(&self) {
        // Any error appears again when a value is read, and is reported then.
        let _reported_later = self.values();
    }

    /// Current value of a variable in the file.
    pub(crate) fn value(&self, name: &EnvName) -> Result<Option<String>, EnvError> {
        Ok(self.values()?.get(name).cloned())
    }

    /// Writes a value, or removes it with `None`. The rest of the file stays as it is, with comments.
    pub(crate) fn set(&self, name: &EnvName, value: Option<&str>) -> Result<(), EnvError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let base = self.base()?;
        let text = match self.read(base) {
            Err(FsError::NoFile { .. }) if self.auto_init => String::new(),
            read => self.text(read.map_err(|source| self.failed(source))?)?,
        };
        let mut document = self.parse(&text)?;
        document.set(name, value);
        let text = document.into_text();
        if text.len() as u64 > MAX_FILE {
            let path = self.path.clone();
            return Err(self.failed(FsError::TooLarge { path, allowed: MAX_FILE }));
        }
        self.replace(base, text.as_bytes()).map_err(|source| self.failed(self.io(source)))?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn base(&self) -> Result<&PathBase, EnvError> {
        let no_app = |()| self.failed(FsError::NoApp { path: self.path.clone() });
        self.base.as_ref().map_err(|&none| no_app(none))
    }

    fn failed(&self, source: FsError) -> EnvError {
        let storage = self.storage.clone();
        match source {
            FsError::NoFile { path } => EnvError::NoFile { storage, path },
            source => EnvError::File { storage, source },
        }
    }

    fn io(&self, source: io::Error) -> FsError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::NotFound => FsError::NoFile { path },
            _ if path_base::is_escape(&source) => {
                FsError::Outside { path, root: self.root.clone() }
            }
            _ => FsError::Io { path, source },
        }
    }

    fn values(&self) -> Result<Arc<HashMap<EnvName, String>>, EnvError> {
        let base = self.base()?;
        let stamp = match base.stamp(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.auto_init => {
                self.make(base)?;
                return Ok(Arc::default());
            }
            stamp => stamp.map_err(|source| self.failed(self.io(source)))?,
        };
        if let Some(known) = &*self.known.read().unwrap_or_else(PoisonError::into_inner)
            && known.stamp == stamp
        {
            return Ok(Arc::clone(&known.values));
        }
        let before = SystemTime::now();
        let text = self.text(self.read(base).map_err(|source| self.failed(source))?)?;
        let values = Arc::new(self.parse(&text)?.values());
        // Cache only a file that did not change while it was read, or shortly before.
        let after = base.stamp(&self.path).ok();
        let settled = stamp.is_older_than(self.settling, before);
        let known = CachedValues { stamp, values: Arc::clone(&values) };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) =
            (settled && after == Some(stamp)).then_some(known);
        Ok(values)
    }

    fn read(&self, base: &PathBase) -> Result<Vec<u8>, FsError> {
        path_base::read_file(base, &self.path, &self.path, &self.root, MAX_FILE)
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, EnvError> {
        String::from_utf8(bytes).map_err(|error| {
            let before = error.as_bytes().get(..error.utf8_error().valid_up_to());
            let line = before.unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count() + 1;
            self.syntax(line, "not UTF-8 text")
        })
    }

    fn parse<'t>(&self, text: &'t str) -> Result<Document<'t>, EnvError> {
        Document::parse(text).map_err(|error| self.syntax(error.line, error.problem))
    }

    fn syntax(&self, line: usize, problem: &'static str) -> EnvError {
        let (storage, path) = (self.storage.clone(), self.path.clone());
        EnvError::Syntax { storage, path, line, problem }
    }

    fn make(&self, base: &PathBase) -> Result<(), EnvError> {
        let make = || {
            let (dir, name) = base.parent(&self.path)?;
            match create(&dir, Path::new(&name), self.mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map(drop),
            }
        };
        make().map_err(|source| self.failed(self.io(source)))
    }

    /// Replaces the file atomically, so a reader sees the old one or the new one.
    fn replace(&self, base: &PathBase, bytes: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (dir, name) = base.parent(&self.path)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(&name);
        temporary.push(format!(".{}-{count}.new", std::process::id()));
        let temporary = Path::new(&temporary);
        let old = dir.metadata(&name).ok().map(|metadata| metadata.permissions());
        let written = (|| {
            use std::io::Write;
            let mut file = create(&dir, temporary, self.mode)?;
            if let Some(old) = old {
                file.set_permissions(old)?;
            }
            file.write_all(bytes)?;
            file.sync_all()?;
            dir.rename(temporary, &dir, &name)
        })();
        if written.is_err() {
            // It may not exist; there is no further remedy.
            let _gone = dir.remove_file(temporary);
        }
        written
    }
}

/// Creates a file, readable by its owner only unless `mode` is set: it is meant for secrets.
#[cfg(unix)]
fn create(dir: &Dir, name: &Path, mode: Option<u32>) -> io::Result<cap_std::fs::File> {
    use cap_std::fs::{OpenOptionsExt, Permissions, PermissionsExt};
    let mode = mode.unwrap_or(0o600);
    let file = dir.open_with(name, OpenOptions::new().write(true).create_new(true).mode(mode))?;
    // Restores the bits that the umask cleared.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

#[cfg(not(unix))]
fn create(dir: &Dir, name: &Path, _: Option<u32>) -> io::Result<cap_std::fs::File> {
    dir.open_with(name, OpenOptions::new().write(true).create_new(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn file(path: &Path) -> Result<EnvFile, Box<dyn std::error::Error>> {
        let path = path.display().to_string().parse()?;
        Ok(EnvFile::new(&"a:file".parse()?, &path, None, false, None))
    }

    #[test]
    fn file_is_read_again_until_its_date_is_reliable() -> Tested {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("app.env");
        std::fs::write(&path, "V=1")?;
        let mut file = file(&path)?;
        file.settling = Duration::from_secs(3600);
        assert!(!Arc::ptr_eq(&file.values()?, &file.values()?));
        file.settling = Duration::ZERO;
        while !Arc::ptr_eq(&file.values()?, &file.values()?) {
            std::thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn cached_values_are_dropped_when_the_file_changes() -> Tested {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("app.env");
        std::fs::write(&path, "V=1")?;
        let mut file = file(&path)?;
        file.settling = Duration::ZERO;
        let known = loop {
            let known = file.values()?;
            if Arc::ptr_eq(&known, &file.values()?) {
                break known;
            }
        };
        // Another inode with the same size and date.
        let date = path.metadata()?.modified()?;
        let new = dir.path().join("new.env");
        std::fs::write(&new, "V=2")?;
        std::fs::File::options().write(true).open(&new)?.set_modified(date)?;
        std::fs::rename(&new, &path)?;
        assert!(!Arc::ptr_eq(&known, &file.values()?));
        assert_eq!(file.value(&"V".parse()?)?.as_deref(), Some("2"));
        Ok(())
    }
}
