//! Folders for the relative paths of a guest.
//!
//! WASI has no working directory: guest libraries look a relative path up among the preopened folders, take the longest
//! name that it begins with, and let no `..` leave that folder. So folders are preopened a second time, by their
//! relative names: the working directory as `.`, those above it in a mount as `..`, `../..` and so on, and each other
//! mount by its path from there.

use crisol_schema::{Mount, Wasi};
use wasmtime_wasi::FsPerms;

use crate::directory::Directory;
use crate::folders::FsSource;

/// Most levels above the working directory: each takes one of a guest's few descriptors.
const MAX_UP: usize = 8;

/// Folder with its relative name.
pub(crate) struct RelativeFolder {
    pub(crate) name: String,
    pub(crate) directory: Directory,
    pub(crate) perms: FsPerms,
}

/// Permissions of a mount.
pub(crate) fn perms(mount: &Mount) -> FsPerms {
    if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite }
}

/// Folders for relative paths, the working directory first; none for `/`, the default start of relative paths.
///
/// # Errors
/// Returns the reason that relative paths do not begin in the working directory.
pub(crate) fn relative(config: &Wasi, fs: &dyn FsSource) -> Result<Vec<RelativeFolder>, String> {
    let cwd = parts(config.cwd.as_str());
    if cwd.is_empty() {
        return Ok(Vec::new());
    }
    let mounts: Vec<_> =
        config.mounts.iter().map(|mount| (mount, parts(mount.guest.as_str()))).collect();
    if mounts.iter().any(|(_, guest)| guest.is_empty()) {
        return Err(
            "a mount at `/` also captures relative paths: mount its folder elsewhere".into()
        );
    }
    let mut given = Vec::new();
    for up in 0..=cwd.len().min(MAX_UP) {
        let path = &cwd[..cwd.len() - up];
        let inside = mounts.iter().filter(|(_, guest)| path.starts_with(guest));
        let Some((mount, guest)) = inside.max_by_key(|(_, guest)| guest.len()) else { break };
        let name = name(up, &[]);
        match open(mount, &path[guest.len()..], fs) {
            Ok(Some(directory)) => {
                given.push(RelativeFolder { name, directory, perms: perms(mount) })
            }
            Ok(None) => {}
            Err(why) if up == 0 => return Err(why),
            // Some folders only allow passing through.
            Err(_) => {}
        }
        if up == 0 && given.is_empty() {
            return Ok(given);
        }
    }
    if given.is_empty() {
        return Err("no mount contains it: mount a folder there or above it".into());
    }
    for (mount, guest) in mounts.iter().filter(|(_, guest)| !cwd.starts_with(guest)) {
        let common = cwd.iter().zip(guest).take_while(|(a, b)| a == b).count();
        let up = cwd.len() - common;
        if up <= MAX_UP
            && let Ok(directory) = fs.directory(&mount.fs)
        {
            let name = name(up, &guest[common..]);
            given.push(RelativeFolder { name, directory, perms: perms(mount) });
        }
    }
    Ok(given)
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// Relative name of a folder: `up` levels up, then `down`.
fn name(up: usize, down: &[&str]) -> String {
    let all: Vec<_> = std::iter::repeat_n("..", up).chain(down.iter().copied()).collect();
    if all.is_empty() { ".".to_owned() } else { all.join("/") }
}

/// Opens a folder in a mount; `None` when the mount itself has an error.
fn open(mount: &Mount, rest: &[&str], fs: &dyn FsSource) -> Result<Option<Directory>, String> {
    let Ok(directory) = fs.directory(&mount.fs) else { return Ok(None) };
    if rest.is_empty() {
        return Ok(Some(directory));
    }
    let rest = rest.join("/");
    let opened = directory.open_inside(rest.as_ref(), false, None);
    opened
        .map(Some)
        .map_err(|error| format!("`{rest}` in `{}` cannot be opened: {error}", mount.fs))
}
