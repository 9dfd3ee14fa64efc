//! Folders on the host.

use serde::Serialize;

use crate::decode::{Cx, Decode, shape};
use crate::values::{DirectoryPath, FileMode};
use crate::yaml::Node;

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

pub(super) fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Directory> {
    let fields = DirectoryFields::decode(node, cx)?;
    let auto_init = fields.auto_init.unwrap_or(false);
    Some(Directory { directory: fields.directory, mode: fields.mode, auto_init })
}
