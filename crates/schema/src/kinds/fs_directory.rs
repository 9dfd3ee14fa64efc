//! Kind `fs.directory`: a folder on the host.

use serde::Serialize;

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, shape};
use crate::role::Role;
use crate::values::{DirectoryPath, FileMode};

/// A folder on the host: `fs.directory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Path of the folder.
    pub directory: DirectoryPath,
    /// Permission bits of a created folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
    /// True to create the folder if it is missing.
    pub auto_init: bool,
}

/// `fs.directory`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = Directory;
    type Fields = DirectoryFields;

    const ROLE: Option<Role> = Some(Role::Folder);
    const UNUSED: Option<&'static str> =
        Some("use it in `fs` of a function, a mount or an `http.static`");

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<Directory> {
        let fields = DirectoryFields::decode(body.fields, cx)?;
        let auto_init = fields.auto_init.unwrap_or(false);
        Some(Directory { directory: fields.directory, mode: fields.mode, auto_init })
    }
}

impl KindContent for Directory {}

shape! {
    /// A folder on the host, for `.wasm` files, mounts and static files.
    pub(crate) struct DirectoryFields {
        /// Path of the folder: relative to the app's folder and inside it, or absolute.
        directory: DirectoryPath,
        /// Permission bits of a created folder, in octal: `"0755"`.
        mode: Option<FileMode>,
        /// Creates the folder if it is missing. Default: false.
        auto_init: Option<bool>,
    }
}
