//! Errors of a guest's folders, variables and WASI configuration.

use std::io;
use std::path::PathBuf;

use crisol_core::{EntryId, EntryIdError};
use crisol_schema::{EnvName, GuestPath};

/// Reason that a folder, or a file in one, could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// Unknown entry id, or an entry of another kind.
    #[error("unknown `fs.directory` entry `{id}`")]
    Unknown {
        /// Id that was given.
        id: EntryId,
    },
    /// Missing folder without `auto_init`.
    #[error("the folder `{}` does not exist: create it or set `auto_init: true`", path.display())]
    NoFolder {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Missing folder that a start creates: the app was loaded without creating anything.
    #[error("the folder `{}` does not exist yet: starting the app creates it (`auto_init`)", path.display())]
    NotCreated {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Missing file.
    #[error("the file `{}` does not exist", path.display())]
    NoFile {
        /// Path of the file.
        path: PathBuf,
    },
    /// Path that is not a folder.
    #[error("`{}` is not a folder", path.display())]
    NotAFolder {
        /// Path found.
        path: PathBuf,
    },
    /// Path that is not a regular file: a folder, a pipe, a device.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// Path found.
        path: PathBuf,
    },
    /// A `..`, an absolute path or a symbolic link leads out of the folder.
    #[error("`{}` leads out of `{}`: use a path that stays inside", path.display(), root.display())]
    Outside {
        /// Path, from the folder.
        path: PathBuf,
        /// Folder that it leads out of.
        root: PathBuf,
    },
    /// Relative path in a registry without an app folder.
    #[error("`{}` is relative, but the app has no folder: use an absolute path", path.display())]
    NoApp {
        /// Path given.
        path: PathBuf,
    },
    /// File over the size limit of its reader, in bytes.
    #[error("`{}` exceeds the limit of {allowed} bytes", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Limit in bytes.
        allowed: u64,
    },
    /// Another folder at the path since it was opened, on a system that cannot name the opened one.
    #[error("`{}` was replaced by another folder since the app was loaded: reload it", path.display())]
    Replaced {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Refusal of the system.
    #[error("cannot open `{}`", path.display())]
    Io {
        /// Path used.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// Reason that a variable could not be read or written. No message holds a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// Unknown entry id, or an entry of another kind.
    #[error("unknown `env.variable` entry `{id}`")]
    Unknown {
        /// Id that was given.
        id: EntryId,
    },
    /// Text that is not an entry id.
    #[error(transparent)]
    NotAnId(#[from] EntryIdError),
    /// File of an `env.storage.file` that cannot be used.
    #[error("the file of `{storage}` cannot be used")]
    File {
        /// Storage entry.
        storage: EntryId,
        /// Cause.
        source: FsError,
    },
    /// Missing file of an `env.storage.file` without `auto_init`.
    #[error("`{}`, the file of `{storage}`, does not exist: create it or set `auto_init: true`", path.display())]
    NoFile {
        /// Storage entry.
        storage: EntryId,
        /// Path of its file.
        path: PathBuf,
    },
    /// Syntax error in the file of an `env.storage.file`.
    #[error("invalid line {line} of `{}`, the file of `{storage}`: {problem}", path.display())]
    Syntax {
        /// Storage entry.
        storage: EntryId,
        /// Path of its file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Problem, and advice.
        problem: &'static str,
    },
    /// Value of the host that is not UTF-8.
    #[error("the host variable `{variable}` of `{storage}` is not UTF-8 text")]
    NotText {
        /// Storage entry.
        storage: EntryId,
        /// Name of the host's variable.
        variable: EnvName,
    },
    /// Entry that is read-only.
    #[error("`{id}` is `readonly`")]
    ReadOnly {
        /// Entry of the variable.
        id: EntryId,
    },
    /// Variable without a writable storage.
    #[error("`{id}` is not writable: it has no `env.storage.memory` or `env.storage.file`")]
    NotWritable {
        /// Entry of the variable.
        id: EntryId,
    },
    /// Write that would have no effect, because a storage earlier in the order has a value.
    #[error("`{id}` cannot be written: `{storage}` takes precedence and has a value for it")]
    Shadowed {
        /// Entry of the variable.
        id: EntryId,
        /// Storage whose value hides the new one.
        storage: EntryId,
    },
    /// Invalid value for a variable.
    #[error("the value for `{id}` {problem}")]
    BadValue {
        /// Entry of the variable.
        id: EntryId,
        /// Problem of the value.
        problem: &'static str,
    },
}

/// Reason that a guest's WASI configuration cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Folder of a mount that cannot be opened.
    #[error("`{fs}` cannot be mounted at `{guest}` of `{function}`")]
    Mount {
        /// Function with this configuration.
        function: EntryId,
        /// Entry of the folder.
        fs: EntryId,
        /// Path in the guest.
        guest: GuestPath,
        /// Cause.
        source: FsError,
    },
    /// Required variable without a value.
    #[error("the variable `{name}` is required and has no value: set {place}")]
    Missing {
        /// Name of the variable in the guest.
        name: EnvName,
        /// Entry of the variable.
        id: EntryId,
        /// Place where a value is expected: the entry, its name in the storage and the storage.
        place: String,
    },
    /// Variable that cannot be read.
    #[error("the variable `{name}` cannot be read from `{id}`")]
    Variable {
        /// Name of the variable in the guest.
        name: EnvName,
        /// Entry of the variable.
        id: EntryId,
        /// Cause.
        source: EnvError,
    },
    /// Value with a NUL, which a guest cannot receive.
    #[error("the variable `{name}`, from `{id}`, has a NUL character: remove it")]
    Nul {
        /// Name of the variable in the guest.
        name: EnvName,
        /// Entry of the variable.
        id: EntryId,
    },
    /// Argument of a command with a NUL, which a guest cannot receive.
    #[error("argument {argument} of the command has a NUL character: remove it")]
    ArgumentNul {
        /// Position of the argument; 0 is the command's name.
        argument: usize,
    },
}
