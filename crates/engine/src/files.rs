//! Files that are this user's alone.
//!
//! Where the system has no owners and modes as Unix has them, no file is known to be: nothing is read, and
//! nothing is written.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(unix)]
pub(crate) use unix::{check_dir, make_dir, open_own};

#[cfg(unix)]
mod unix {
    use std::fs::{self, DirBuilder, Metadata, OpenOptions};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    use rustix::fs::OFlags;

    use super::{File, Path, io};

    /// Writing by the group and by others.
    const OTHERS_WRITE: u32 = 0o022;

    /// Opens a regular file that this user owns and nobody else may write to. A link is not followed, and
    /// a pipe not waited for.
    pub(crate) fn open_own(path: &Path) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        own(&metadata, "the file")?;
        Ok(file)
    }

    /// Fails when somebody else could put files into a folder.
    pub(crate) fn check_dir(dir: &Path) -> io::Result<()> {
        own(&fs::metadata(dir)?, "the folder")
    }

    /// Makes a folder for this user alone, unless there is one.
    pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        check_dir(dir)
    }

    fn own(metadata: &Metadata, what: &str) -> io::Result<()> {
        let user = rustix::process::geteuid().as_raw();
        let problem = if metadata.uid() != user {
            format!(
                "{what} belongs to user {}, and this program runs as user {user}",
                metadata.uid()
            )
        } else if metadata.mode() & OTHERS_WRITE != 0 {
            let mode = metadata.mode() & 0o777;
            format!("others may write to {what} (mode {mode:03o}): `chmod go-w` it")
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
    }
}

#[cfg(not(unix))]
fn unknown<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not tell whose files are"))
}

#[cfg(not(unix))]
pub(crate) fn open_own(_: &Path) -> io::Result<File> {
    unknown()
}

#[cfg(not(unix))]
pub(crate) fn check_dir(_: &Path) -> io::Result<()> {
    unknown()
}

#[cfg(not(unix))]
pub(crate) fn make_dir(_: &Path) -> io::Result<()> {
    unknown()
}
