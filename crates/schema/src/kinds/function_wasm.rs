//! Kind `function.wasm`: a function in a compiled WebAssembly file.

use serde_json::Value as Json;

use super::definition::{EntryBody, KindDefinition, Placeholder};
use super::function::{Function, into_function};
use crate::decode::{Decode, DecodeContext};
use crate::parts::{
    Code, Pool, SourceText, guest_shape, retry_in_meta, retry_schema, warn_ungranted,
};
use crate::reference::{Folder, Ref};
use crate::role::Role;
use crate::values::{FsPath, Sha256Hash};

/// `function.wasm`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = Function;
    type Fields = FunctionWasmFields;

    const ROLE: Option<Role> = Some(Role::Function);
    const PLACEHOLDERS: &'static [Placeholder] = &[Placeholder::Method, Placeholder::Hash];

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<Function> {
        let retry = retry_in_meta(body.meta, cx);
        let fields = FunctionWasmFields::decode(body.fields, cx)?;
        let code = Code::Wasm { fs: fields.fs.id, path: fields.path, hash: fields.hash };
        let function = into_function!(fields, code, retry?);
        warn_ungranted(body.fields, &function.wasi, &function.imports, cx);
        Some(function)
    }

    fn meta_schema() -> Json {
        retry_schema()
    }
}

guest_shape! {
    /// A function in a compiled WebAssembly file.
    struct FunctionWasmFields {
        /// `fs.directory` entry with the file.
        fs: Ref<Folder>,
        /// Path of the file in that folder.
        path: FsPath,
        /// SHA-256 of the file: `sha256:` and 64 hexadecimal digits. `crisol pin` writes it.
        hash: Sha256Hash,
        /// Concurrency of calls, and instances kept ready for them.
        pool: Option<Pool>,
    }
}
