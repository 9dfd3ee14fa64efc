//! Code of entries, made ready to compile: read, verified by hash; core modules run as they are or as components.

use std::sync::Arc;

use crisol_core::{EntryId, chain};
use crisol_engine::{Digest, LinkError};
use crisol_schema::{Code, EntryField, Report, Rule, Sha256Hash, SourceText};
use crisol_wasi::{FsError, FsSource};
use crisol_wit::{CoreModule, WrapError, Wrapped};

use super::field_error::FieldError;

/// Request to compile the code of an entry.
#[derive(Clone, Copy)]
pub(crate) struct CompileRequest<'a> {
    pub(crate) code: &'a Code,
    pub(crate) wit: Option<&'a SourceText>,
    pub(crate) method: &'a str,
    /// True if the compiled code counts fuel.
    pub(crate) fuel: bool,
    /// True if the code must match its hash. False only for an unreadable hash field; such an app is never served.
    pub(crate) verified: bool,
}

/// Maximum size of a `.wasm` file in bytes.
pub(crate) const MAX_CODE_BYTES: u64 = 512 << 20;

/// A hash that does not match the file.
pub(crate) const WRONG_HASH: Rule = Rule::new("wrong-hash");
/// A file that is missing, unreadable or too large.
const BAD_FILE: Rule = Rule::new("bad-file");
/// Advice for a file that is not code.
const BUILD_AGAIN: &str = "build it again as a core module or a component";
/// The same advice for code written as text.
const CORRECT_TEXT: &str = "correct the text";
/// Advice for code that is too large.
pub(crate) const BUILD_SMALLER: &str = "build it smaller: optimised, and without debug information (a program that embeds the runtime may allow \
     more, by `EngineConfig::code`)";
/// Advice for code that exports no function.
pub(crate) const EXPORT_IT: &str = "export the function where it is written, and build it again";
/// The same advice for code written as text.
const EXPORT_IT_IN_TEXT: &str = "export the function in the text: `(func (export \"name\") …)`";
/// Code that is not valid WebAssembly, or that this host cannot run.
pub(crate) const BAD_CODE: Rule = Rule::new("bad-code");

/// A method that the code does not export, or that cannot be called.
const BAD_METHOD: Rule = Rule::new("bad-method");

/// Reads the code that an entry names, without checking its hash.
pub(crate) fn read(code: &Code, folders: &dyn FsSource) -> Result<Vec<u8>, FieldError> {
    match code {
        Code::Wat { source } => {
            crisol_wit::parse_text(source.text(), source.file()).map_err(|error| {
                FieldError::at(
                    EntryField::Source,
                    Report::error(BAD_CODE, chain(&error)).help(error.fix()),
                )
            })
        }
        Code::Wasm { fs, path, .. } => open(fs, path.as_path(), folders),
    }
}

fn open(
    fs: &EntryId,
    path: &std::path::Path,
    folders: &dyn FsSource,
) -> Result<Vec<u8>, FieldError> {
    let folder = folders.directory(fs);
    folder.and_then(|folder| folder.read(path, MAX_CODE_BYTES)).map_err(|error: FsError| {
        let message = format!("cannot read `{}` of `{fs}`: {}", path.display(), chain(&error));
        let help = format!("put the file into the folder of `{fs}`, or correct `path`");
        FieldError::at(EntryField::Path, Report::error(BAD_FILE, message).help(help)).in_folder(fs)
    })
}

/// Checks a file's digest against the hash of its entry.
pub(crate) fn verify(found: Digest, declared: &Sha256Hash, path: &str) -> Result<(), FieldError> {
    if found.as_bytes() == declared.as_bytes() {
        return Ok(());
    }
    let message = format!("`{path}` does not match this hash: it has sha256:{found}");
    let help = "if the file is the right one, run `crisol pin`, which writes its hash";
    Err(FieldError::at(EntryField::Hash, Report::error(WRONG_HASH, message).help(help)))
}

/// Form in which a core module runs.
pub(crate) enum Core {
    /// As a core module.
    Module(Arc<CoreModule>),
    /// Wrapped as a component.
    Component(Wrapped),
}

/// Chooses the form of a core module: as it is, or wrapped if it imports something that only a component can.
pub(crate) fn core(module: &[u8], wanted: &CompileRequest<'_>) -> Result<Core, FieldError> {
    let wit = wanted.wit.map(SourceText::text);
    let read = || match CoreModule::read(module, wit, wanted.method)? {
        Some(core) => Ok(Core::Module(Arc::new(core))),
        None => crisol_wit::wrap(module, wit, wanted.method).map(Core::Component),
    };
    let is_text = matches!(wanted.code, Code::Wat { .. });
    read().map_err(|error| {
        let in_text;
        let (field, help) = match (&error, wit) {
            (WrapError::Invalid { offset, .. }, _) if is_text => {
                in_text = match crisol_wit::function_at(module, *offset) {
                    Some(function) => format!("{CORRECT_TEXT}, in the function {function}"),
                    None => CORRECT_TEXT.to_owned(),
                };
                (field_of(wanted.code), in_text.as_str())
            }
            (WrapError::NothingExported { .. }, _) if is_text => {
                (EntryField::Method, EXPORT_IT_IN_TEXT)
            }
            (WrapError::WideMemory { .. }, _) if is_text => {
                (field_of(wanted.code), "declare its memory without `i64`")
            }
            (WrapError::Encode { .. }, None) if is_text => (field_of(wanted.code), CORRECT_TEXT),
            (WrapError::Invalid { .. }, _) => (field_of(wanted.code), BUILD_AGAIN),
            (WrapError::UnknownImports(imports), _) => {
                in_text = imports.fix();
                (field_of(wanted.code), in_text.as_str())
            }
            (WrapError::ImportType { .. }, _) => {
                (field_of(wanted.code), "build it with a toolchain for `wasm32-wasip1`")
            }
            (WrapError::WideMemory { .. }, _) => (field_of(wanted.code), "build it for `wasm32`"),
            (WrapError::NothingExported { .. }, _) => (EntryField::Method, EXPORT_IT),
            (WrapError::Encode { .. }, None) => (field_of(wanted.code), BUILD_AGAIN),
            (_, Some(_)) => (EntryField::Wit, "make `wit` match the exports of the module"),
            (_, None) => {
                (EntryField::Method, "name one of its exports, and declare its type in `wit`")
            }
        };
        FieldError::at(field, Report::error(BAD_CODE, chain(&error)).help(help))
    })
}

/// Builds the error of an entry whose code cannot be linked.
pub(crate) fn link_error(error: LinkError) -> FieldError {
    let (field, rule, help) = match error {
        LinkError::Method(ref error) if error.exports_nothing() => {
            (EntryField::Method, BAD_METHOD, EXPORT_IT)
        }
        LinkError::Method(_) | LinkError::Signature { .. } => {
            (EntryField::Method, BAD_METHOD, "name an export that takes and gives values")
        }
        _ => (EntryField::Imports, BAD_CODE, "build the code for interfaces that this host has"),
    };
    FieldError::at(field, Report::error(rule, chain(&error)).help(help))
}

/// Returns the advice for invalid code.
pub(crate) fn correct(code: &Code) -> &'static str {
    match code {
        Code::Wat { .. } => CORRECT_TEXT,
        Code::Wasm { .. } => BUILD_AGAIN,
    }
}

/// Returns the entry's field that names its code.
pub(crate) fn field_of(code: &Code) -> EntryField {
    match code {
        Code::Wat { .. } => EntryField::Source,
        Code::Wasm { .. } => EntryField::Path,
    }
}
