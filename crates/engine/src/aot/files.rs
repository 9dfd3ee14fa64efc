//! Files that only this user or the superuser can have written.
//!
//! On systems without Unix owners and modes no file qualifies, so none is read or written.

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

    /// The user id of the superuser.
    const ROOT: u32 = 0;

    /// Mode bits for writing by the group and by others.
    const OTHERS_WRITE: u32 = 0o022;

    /// Opens a regular file that this user or the superuser owns and no other user may write to. Does not follow
    /// links or wait for pipes.
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

    /// Fails if another user could create files in a folder.
    pub(crate) fn check_dir(dir: &Path) -> io::Result<()> {
        own(&fs::metadata(dir)?, "the folder")
    }

    /// Creates a folder with access for this user only, unless it exists.
    pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        check_dir(dir)
    }

    fn own(metadata: &Metadata, what: &str) -> io::Result<()> {
        let user = rustix::process::geteuid().as_raw();
        let problem = problem(what, metadata.uid(), metadata.mode(), user);
        let denied = |problem| io::Error::new(io::ErrorKind::PermissionDenied, problem);
        problem.map_or(Ok(()), |problem| Err(denied(problem)))
    }

    /// Returns the reason that another user may have written a file. `user` and the superuser are trusted, since
    /// they could also change this program.
    fn problem(what: &str, owner: u32, mode: u32, user: u32) -> Option<String> {
        if ![user, ROOT].contains(&owner) {
            return Some(format!(
                "{what} belongs to user {owner}, and this program runs as user {user}"
            ));
        }
        let mode = mode & 0o777;
        (mode & OTHERS_WRITE != 0)
            .then(|| format!("others may write to {what} (mode {mode:03o}): `chmod go-w` it"))
    }

    #[cfg(test)]
    mod tests {
        use super::problem;

        #[test]
        fn only_files_of_this_user_or_the_superuser_are_trusted() {
            for (owner, mode) in
                [(1000, 0o100_600), (1000, 0o100_644), (0, 0o100_644), (0, 0o40_755)]
            {
                assert_eq!(problem("it", owner, mode, 1000), None, "{owner} {mode:o}");
            }
            for (owner, mode) in
                [(1001, 0o600), (1000, 0o620), (0, 0o664), (0, 0o1777), (65_534, 0o444)]
            {
                assert!(problem("it", owner, mode, 1000).is_some(), "{owner} {mode:o}");
            }
            assert!(problem("it", 1000, 0o600, 0).is_some(), "the superuser trusts nobody else");
        }
    }
}

#[cfg(not(unix))]
fn unknown<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system does not report the owner of a file",
    ))
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
