//! Folder held by handle: no access through it leads out of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::error::FsError;
use crate::path_base::{self, PathBase};

/// Folder on the host, opened once. Clones share the handle.
///
/// Stays the opened folder, even after the path is renamed, removed or replaced by a symbolic link.
#[derive(Debug, Clone)]
pub struct Directory {
    base: PathBase,
    dir: Arc<Dir>,
    path: Arc<Path>,
}

impl Directory {
    /// Opens the folder at a path of the host, with symbolic links followed.
    ///
    /// With `auto_init`, creates a missing folder and those above it; `mode` sets the permission bits of the folder
    /// itself, independent of the process's umask.
    ///
    /// # Errors
    /// Fails when the folder is missing and may not be created, or the system refuses.
    pub fn open(path: &Path, auto_init: bool, mode: Option<u32>) -> Result<Self, FsError> {
        let plain = path_base::joined(Path::new(""), path);
        let path = plain.as_path();
        let open = || Dir::open_ambient_dir(path, ambient_authority());
        let made = |source| failed(source, path, path);
        let dir = match open() {
            Err(error) if auto_init && error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(made)?;
                }
                let is_new = already_there(make_on_host(path, mode)).map_err(made)?;
                let dir = open().map_err(made)?;
                if is_new {
                    set_mode(&dir, mode).map_err(made)?;
                }
                dir
            }
            opened => opened.map_err(made)?,
        };
        Ok(Self::new(dir, path.to_owned()))
    }

    /// Opens the folder at a path inside this one; no part of the path may lead out. Otherwise like
    /// [`Directory::open`].
    ///
    /// # Errors
    /// Fails as [`Directory::open`], and when the path leads out.
    pub fn open_inside(
        &self,
        path: &Path,
        auto_init: bool,
        mode: Option<u32>,
    ) -> Result<Self, FsError> {
        path_base::inside(path, &self.path)?;
        let full = path_base::joined(&self.path, path);
        let failed = |source: io::Error| match path_base::is_escape(&source) {
            true => FsError::Outside { path: path.to_owned(), root: self.path.to_path_buf() },
            false => failed(source, path, &full),
        };
        let dir = match self.dir.open_dir(path) {
            Err(error) if auto_init && error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
                    self.dir.create_dir_all(parent).map_err(failed)?;
                }
                let is_new = already_there(make_inside(&self.dir, path, mode)).map_err(failed)?;
                let dir = self.dir.open_dir(path).map_err(failed)?;
                if is_new {
                    set_mode(&dir, mode).map_err(failed)?;
                }
                dir
            }
            opened => opened.map_err(failed)?,
        };
        Ok(Self::new(dir, full))
    }

    fn new(dir: Dir, path: PathBuf) -> Self {
        let dir = Arc::new(dir);
        Self { base: PathBase::Inside(Arc::clone(&dir)), dir, path: path.into() }
    }

    /// Path by which the folder was opened, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Handle of the folder, to serve its files.
    #[must_use]
    pub fn handle(&self) -> Arc<Dir> {
        Arc::clone(&self.dir)
    }

    /// Returns true if both are handles of the same folder, by any path. On a system without identities, returns
    /// false.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.dir, &other.dir)
            || matches!((identity(&self.dir), identity(&other.dir)), (Some(a), Some(b)) if a == b)
    }

    pub(crate) fn base(&self) -> &PathBase {
        &self.base
    }

    /// Reads a regular file in the folder, of at most `max_bytes`. Goes through the handle: `..` is refused, symbolic
    /// links are followed inside the folder only. Never waits: a pipe or a device is refused.
    ///
    /// # Errors
    /// Fails when the file is missing, not a regular file or too large, or the path leads out.
    pub fn read(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FsError> {
        path_base::inside(path, &self.path)?;
        let full = path_base::joined(&self.path, path);
        path_base::read_file(&self.base, path, &full, &self.path, max_bytes)
    }

    /// Path that opens this same folder again, for APIs that take only paths.
    ///
    /// On Linux the handle's own name in `/proc`, which stays valid when the folder is replaced. Elsewhere the original
    /// path, if it still leads to the same folder.
    ///
    /// # Errors
    /// Fails when no path leads to the folder any longer.
    pub(crate) fn reopenable(&self) -> Result<PathBuf, FsError> {
        #[cfg(unix)]
        {
            use cap_std::fs::MetadataExt as _;
            use std::os::fd::AsRawFd;
            use std::os::unix::fs::MetadataExt as _;
            let own = self.dir.dir_metadata();
            let own =
                own.map_err(|source| FsError::Io { path: self.path.to_path_buf(), source })?;
            let by_handle = PathBuf::from(format!("/proc/self/fd/{}", self.dir.as_raw_fd()));
            let same = |path: &PathBuf| {
                std::fs::metadata(path)
                    .is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
            };
            [by_handle, self.path.to_path_buf()]
                .into_iter()
                .find(same)
                .ok_or_else(|| FsError::Replaced { path: self.path.to_path_buf() })
        }
        #[cfg(not(unix))]
        Ok(self.path.to_path_buf())
    }
}

fn failed(source: io::Error, path: &Path, full: &Path) -> FsError {
    match source.kind() {
        io::ErrorKind::NotFound => FsError::NoFolder { path: path.to_owned() },
        io::ErrorKind::NotADirectory => FsError::NotAFolder { path: full.to_owned() },
        _ => FsError::Io { path: full.to_owned(), source },
    }
}

/// Returns true if the folder is new. A folder that another process made in the meantime is fine.
fn already_there(made: io::Result<()>) -> io::Result<bool> {
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn make_on_host(path: &Path, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(mode.unwrap_or(0o777)).create(path)
}

#[cfg(not(unix))]
fn make_on_host(path: &Path, _: Option<u32>) -> io::Result<()> {
    std::fs::create_dir(path)
}

#[cfg(unix)]
fn make_inside(dir: &Dir, path: &Path, mode: Option<u32>) -> io::Result<()> {
    use cap_std::fs::{DirBuilder, DirBuilderExt};
    dir.create_dir_with(path, DirBuilder::new().mode(mode.unwrap_or(0o777)))
}

#[cfg(not(unix))]
fn make_inside(dir: &Dir, path: &Path, _: Option<u32>) -> io::Result<()> {
    dir.create_dir(path)
}

/// Sets the bits that the umask cleared at creation.
#[cfg(unix)]
fn set_mode(dir: &Dir, mode: Option<u32>) -> io::Result<()> {
    use cap_std::fs::{Permissions, PermissionsExt};
    match mode {
        Some(mode) => dir.set_permissions(".", Permissions::from_mode(mode)),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn set_mode(_: &Dir, _: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// Identity of a folder while it is open.
#[cfg(unix)]
fn identity(dir: &Dir) -> Option<(u64, u64)> {
    use cap_std::fs::MetadataExt;
    let metadata = dir.dir_metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Dir) -> Option<(u64, u64)> {
    None
}
