//! Folders on the host.

use serde::Serialize;

use super::slice::{Body, Content, Slice};
use crate::decode::{Cx, Decode, shape};
use crate::role::Role;
use crate::values::{DirectoryPath, FileMode};

/// A folder on the host: `fs.directory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// The folder.
    pub directory: DirectoryPath,
    /// Permission bits of the folder when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
    /// Whether the folder is made when it is not there.
    pub auto_init: bool,
}

/// `fs.directory`.
pub(super) enum This {}

impl Slice for This {
    type Value = Directory;
    type Fields = DirectoryFields;

    const ROLE: Option<Role> = Some(Role::Folder);
    const UNUSED: Option<&'static str> =
        Some("name it in `fs` of a function, a mount or an `http.static`");

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<Directory> {
        let fields = DirectoryFields::decode(body.fields, cx)?;
        let auto_init = fields.auto_init.unwrap_or(false);
        Some(Directory { directory: fields.directory, mode: fields.mode, auto_init })
    }
}

impl Content for Directory {}

shape! {
    /// A folder on the host, for `.wasm` files and for mounts.
    pub(crate) struct DirectoryFields {
        /// The folder, relative to the app's folder and inside it, or absolute.
        directory: DirectoryPath,
        /// Permission bits of the folder when it is made, in octal: `"0755"`.
        mode: Option<FileMode>,
        /// Make the folder when it is not there. Default: false.
        auto_init: Option<bool>,
    }
}
