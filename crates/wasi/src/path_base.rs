//! Base of the registry's paths: the app's folder, which no path may leave, or the host.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use crate::error::FsError;

/// Base of a path.
#[derive(Debug, Clone)]
pub(crate) enum PathBase {
    /// Inside this folder: no `..`, symbolic link or race leads out of it.
    Inside(Arc<Dir>),
    /// Anywhere on the host, for an absolute path of the registry.
    Host,
}

/// State of a file, to detect a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) is_file: bool,
    modified: Option<SystemTime>,
    len: u64,
    /// Time of the last change of content or metadata, since 1970; a reset modification date does not hide it. Zero
    /// without such a date.
    changed: Duration,
    /// Device and inode, where the system has them: a replacement of the same size and date differs.
    identity: [u64; 2],
}

/// Joins a path to a folder, without empty parts: `x`, not `././x`.
pub(crate) fn joined(folder: &Path, path: &Path) -> PathBuf {
    let full = folder.join(path);
    let plain: PathBuf = full.components().filter(|part| *part != Component::CurDir).collect();
    if plain.as_os_str().is_empty() { Path::new(".").to_owned() } else { plain }
}

impl PathBase {
    pub(crate) fn stamp(&self, path: &Path) -> io::Result<FileState> {
        match self {
            Self::Inside(dir) => dir.metadata(path).map(|metadata| of_cap(&metadata)),
            Self::Host => std::fs::metadata(path).map(|metadata| of_std(&metadata)),
        }
    }

    /// Opens a regular file to read, without waiting at a pipe.
    pub(crate) fn open(&self, path: &Path) -> io::Result<Option<File>> {
        // Only regular files are opened: opening some devices has effects.
        if !self.stamp(path)?.is_file {
            return Ok(None);
        }
        let file = match self {
            Self::Inside(dir) => open_inside(dir, path)?.into_std(),
            Self::Host => open_on_host(path)?,
        };
        // The file may have been replaced since the check.
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// Real folder of a file and the file's name there, with symbolic links followed.
    pub(crate) fn parent(&self, path: &Path) -> io::Result<(Dir, OsString)> {
        let real = match self {
            Self::Inside(dir) => or_itself(dir.canonicalize(path), path)?,
            Self::Host => or_itself(std::fs::canonicalize(path), path)?,
        };
        let no_name = || io::Error::from(io::ErrorKind::InvalidInput);
        let name = real.file_name().ok_or_else(no_name)?.to_owned();
        let parent = match real.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let dir = match self {
            Self::Inside(dir) => dir.open_dir(parent)?,
            Self::Host => Dir::open_ambient_dir(parent, ambient_authority())?,
        };
        Ok((dir, name))
    }
}

impl FileState {
    /// Returns true if the last change is older than `age`.
    pub(crate) fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        let changed = SystemTime::UNIX_EPOCH + self.changed;
        let last = self.modified.map_or(changed, |modified| modified.max(changed));
        now.duration_since(last).is_ok_and(|found| found > age)
    }
}

#[cfg(unix)]
fn since_1970(seconds: i64, nanoseconds: i64) -> Duration {
    Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0))
}

fn or_itself(real: io::Result<PathBuf>, path: &Path) -> io::Result<PathBuf> {
    match real {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        other => other,
    }
}

#[cfg(unix)]
fn of_cap(metadata: &cap_std::fs::Metadata) -> FileState {
    use cap_std::fs::MetadataExt;
    FileState {
        is_file: metadata.is_file(),
        modified: metadata.modified().ok().map(|time| time.into_std()),
        len: metadata.len(),
        changed: since_1970(metadata.ctime(), metadata.ctime_nsec()),
        identity: [metadata.dev(), metadata.ino()],
    }
}

#[cfg(not(unix))]
fn of_cap(metadata: &cap_std::fs::Metadata) -> FileState {
    FileState {
        is_file: metadata.is_file(),
        modified: metadata.modified().ok().map(|time| time.into_std()),
        len: metadata.len(),
        changed: Duration::ZERO,
        identity: [0; 2],
    }
}

#[cfg(unix)]
fn of_std(metadata: &std::fs::Metadata) -> FileState {
    use std::os::unix::fs::MetadataExt;
    FileState {
        is_file: metadata.is_file(),
        modified: metadata.modified().ok(),
        len: metadata.len(),
        changed: since_1970(metadata.ctime(), metadata.ctime_nsec()),
        identity: [metadata.dev(), metadata.ino()],
    }
}

#[cfg(not(unix))]
fn of_std(metadata: &std::fs::Metadata) -> FileState {
    FileState {
        is_file: metadata.is_file(),
        modified: metadata.modified().ok(),
        len: metadata.len(),
        changed: Duration::ZERO,
        identity: [0; 2],
    }
}

/// Flags that do not wait at a pipe and do not make a terminal the controlling one.
#[cfg(unix)]
fn careful() -> i32 {
    use rustix::fs::OFlags;
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

#[cfg(unix)]
fn open_inside(dir: &Dir, path: &Path) -> io::Result<cap_std::fs::File> {
    use cap_std::fs::OpenOptionsExt;
    dir.open_with(path, OpenOptions::new().read(true).custom_flags(careful()))
}

#[cfg(not(unix))]
fn open_inside(dir: &Dir, path: &Path) -> io::Result<cap_std::fs::File> {
    dir.open_with(path, OpenOptions::new().read(true))
}

#[cfg(unix)]
fn open_on_host(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().read(true).custom_flags(careful()).open(path)
}

#[cfg(not(unix))]
fn open_on_host(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Returns true for the refusal to leave a folder, which is the one without a system error code.
pub(crate) fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Refuses a path whose text alone leads out of a folder.
pub(crate) fn inside(path: &Path, root: &Path) -> Result<(), FsError> {
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.components().all(stays) {
        return Ok(());
    }
    Err(FsError::Outside { path: path.to_owned(), root: root.to_owned() })
}

/// Reads a whole file of at most `max_bytes`.
pub(crate) fn read_file(
    base: &PathBase,
    path: &Path,
    shown: &Path,
    root: &Path,
    max_bytes: u64,
) -> Result<Vec<u8>, FsError> {
    use std::io::Read;
    let shown = || shown.to_owned();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FsError::NoFile { path: shown() },
        _ if is_escape(&source) => {
            FsError::Outside { path: path.to_owned(), root: root.to_owned() }
        }
        _ => FsError::Io { path: shown(), source },
    };
    let file = base.open(path).map_err(failed)?;
    let Some(file) = file else { return Err(FsError::NotAFile { path: shown() }) };
    let len = file.metadata().map_err(failed)?.len();
    if len > max_bytes {
        return Err(FsError::TooLarge { path: shown(), allowed: max_bytes });
    }
    // The length is a hint: the file may grow while it is read.
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(FsError::TooLarge { path: shown(), allowed: max_bytes });
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn paths_are_shown_normalised() {
        for (folder, path, shown) in [
            (".", ".", "."),
            (".", "./nope.wasm", "nope.wasm"),
            ("./.", "wasm/./x", "wasm/x"),
            ("../app", "./x", "../app/x"),
            ("app", "/etc/x", "/etc/x"),
            ("/srv/./app", "x", "/srv/app/x"),
        ] {
            assert_eq!(joined(Path::new(folder), Path::new(path)), Path::new(shown));
        }
    }

    /// A file may be replaced by a pipe after the check, so the opening itself must not wait.
    #[test]
    fn opening_does_not_wait_at_a_pipe() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0)?;
        assert!(!open_on_host(&path)?.metadata()?.is_file());
        let dir = Dir::open_ambient_dir(dir.path(), ambient_authority())?;
        assert!(!open_inside(&dir, Path::new("pipe"))?.metadata()?.is_file());
        Ok(())
    }
}
