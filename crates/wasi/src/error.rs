//! Why a guest does not get what its entry names.

use std::io;
use std::path::PathBuf;

use crisol_core::EntryId;
use crisol_schema::{EnvName, GuestPath};

/// Why a folder or a file in one could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// No entry of that id, or one of another kind.
    #[error("there is no `fs.directory` entry `{id}`")]
    Unknown {
        /// What was asked for.
        id: EntryId,
    },
    /// The folder is not there, and is not to be made.
    #[error("the folder `{}` does not exist: make it, or set `auto_init: true`", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is not there, and is made by a start: the app is only looked at.
    #[error("the folder `{}` does not exist yet: a start makes it (`auto_init`)", path.display())]
    NotMade {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not there.
    #[error("there is no file `{}`", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// Something else is where the folder should be.
    #[error("`{}` is not a folder", path.display())]
    NotAFolder {
        /// What was found.
        path: PathBuf,
    },
    /// Something else is where the file should be: a folder, a pipe, a device.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// A `..`, an absolute path or a symbolic link leads out of the folder.
    #[error("`{}` leads out of `{}`: use a path that stays inside", path.display(), root.display())]
    Outside {
        /// The path, from the folder.
        path: PathBuf,
        /// The folder.
        root: PathBuf,
    },
    /// A relative path in a registry that has no app folder.
    #[error("`{}` is relative, and there is no app folder: write an absolute path", path.display())]
    NoApp {
        /// The path.
        path: PathBuf,
    },
    /// The file is over the limit of who reads it. Sizes are bytes.
    #[error("`{}` is over the {allowed} bytes that are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        allowed: u64,
    },
    /// Another folder is at the path since it was opened, and the system has no way to name the opened
    /// one.
    #[error("`{}` was replaced by another folder since the app was loaded: reload it", path.display())]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot open `{}`", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a variable could not be read or written. No text holds a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// No entry of that id, or one of another kind.
    #[error("there is no `env.variable` entry `{id}`")]
    Unknown {
        /// What was asked for.
        id: EntryId,
    },
    /// The file of an `env.storage.file` cannot be used.
    #[error("the file of `{storage}` cannot be used")]
    File {
        /// The storage.
        storage: EntryId,
        /// Why.
        source: FsError,
    },
    /// The file of an `env.storage.file` is not there, and is not to be made.
    #[error("`{}`, the file of `{storage}`, does not exist: make it, or set `auto_init: true`", path.display())]
    NoFile {
        /// The storage.
        storage: EntryId,
        /// Its file.
        path: PathBuf,
    },
    /// The file of an `env.storage.file` is not of the form that it should be.
    #[error("line {line} of `{}`, the file of `{storage}`, cannot be read: {problem}", path.display())]
    Syntax {
        /// The storage.
        storage: EntryId,
        /// Its file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it and what to write.
        problem: &'static str,
    },
    /// The host's value is not UTF-8.
    #[error("the host's variable `{variable}`, read through `{storage}`, is not UTF-8 text")]
    NotText {
        /// The storage.
        storage: EntryId,
        /// The host's name for it.
        variable: EnvName,
    },
    /// The entry refuses to be written.
    #[error("`{id}` is `readonly`")]
    ReadOnly {
        /// The variable's entry.
        id: EntryId,
    },
    /// No storage of the variable can be written.
    #[error(
        "`{id}` cannot be written: it has no `env.storage.memory` or `env.storage.file` to write to"
    )]
    Fixed {
        /// The variable's entry.
        id: EntryId,
    },
    /// What would be written would not be seen, since a storage that is asked earlier has a value.
    #[error("`{id}` cannot be written: `{storage}` has a value for it and is asked first")]
    Shadowed {
        /// The variable's entry.
        id: EntryId,
        /// The storage whose value is seen.
        storage: EntryId,
    },
    /// A value that no variable can have.
    #[error("the value for `{id}` {problem}")]
    BadValue {
        /// The variable's entry.
        id: EntryId,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Why a guest's WASI configuration cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A mount's folder is not to be had.
    #[error("`{fs}` cannot be mounted at `{guest}` of `{function}`")]
    Mount {
        /// Whose configuration.
        function: EntryId,
        /// The folder's entry.
        fs: EntryId,
        /// Where the guest would see it.
        guest: GuestPath,
        /// Why.
        source: FsError,
    },
    /// A required variable has no value.
    #[error("the variable `{name}` is required and has no value: set {place}")]
    Missing {
        /// What the guest calls it.
        name: EnvName,
        /// The variable's entry.
        id: EntryId,
        /// Where the value was expected: the entry, its name in the storage and the storage.
        place: String,
    },
    /// A variable cannot be read.
    #[error("the variable `{name}` cannot be read from `{id}`")]
    Variable {
        /// What the guest calls it.
        name: EnvName,
        /// The variable's entry.
        id: EntryId,
        /// Why.
        source: EnvError,
    },
    /// A variable's value holds what a guest cannot be given.
    #[error("the variable `{name}`, from `{id}`, has a NUL character: remove it")]
    Nul {
        /// What the guest calls it.
        name: EnvName,
        /// The variable's entry.
        id: EntryId,
    },
    /// An argument of a command holds what a guest cannot be given.
    #[error("argument {argument} of the command has a NUL character: remove it")]
    ArgumentNul {
        /// Which one; 0 is the command's name.
        argument: usize,
    },
}
