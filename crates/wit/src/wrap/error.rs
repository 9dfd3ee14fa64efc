//! Error of a core module that cannot become a component.

/// Reason that a core module cannot become a component, with advice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// Bytes that are not a valid core module.
    #[error("the module is invalid: {message} (at byte {offset})")]
    Invalid {
        /// Message of the validator.
        message: String,
        /// Offset in bytes from the start.
        offset: u64,
    },
    /// Malformed WIT text, or a name in it without a definition.
    #[error("`wit` is invalid: {message}")]
    Wit {
        /// Message with its place and the line.
        message: String,
    },
    /// WIT text that exports no function.
    #[error("`wit` declares no function: add one, such as `{example}: func();`")]
    NothingDeclared {
        /// Name of the function that the method names.
        example: String,
    },
    /// Missing function that is declared or that the method names.
    #[error("the module does not export {wanted}: {hint}")]
    MissingFunction {
        /// Function, with the names that were searched.
        wanted: String,
        /// Nearest export, or the list of them.
        hint: String,
    },
    /// Missing function in a module without other functions.
    #[error("the module does not export {wanted}: it exports no function")]
    NothingExported {
        /// Function, with the names that were searched.
        wanted: String,
    },
    /// Name that matches two exports.
    #[error("`{wanted}` is ambiguous: it matches the exports {found}: use an exact name")]
    Ambiguous {
        /// The function.
        wanted: String,
        /// The exports.
        found: String,
    },
    /// Initializer of a reactor with a type by which it cannot be called.
    #[error(
        "the export `_initialize` is {found}: expected no parameters and no results, since it runs before any other function"
    )]
    Initialize {
        /// Core type found.
        found: String,
    },
    /// Export whose core type does not match its WIT type.
    #[error("the export `{export}` is {found}, but `{wit}` needs {expected}")]
    CoreType {
        /// The export.
        export: String,
        /// Core type found.
        found: String,
        /// The function as WIT.
        wit: String,
        /// Core type that the WIT needs.
        expected: String,
    },
    /// Missing export for strings, lists and large values.
    #[error("`{function}` {why}, but the module does not export {export}")]
    MissingSupport {
        /// Function that needs it.
        function: String,
        /// Reason that the function needs it.
        why: &'static str,
        /// Export to add, with its type.
        export: &'static str,
    },
    /// Allocator of another type than the one by which it is called.
    #[error(
        "`{function}` {why}, and its allocator `{export}` is {found}: expected (i32, i32, i32, i32) -> i32, \
         (old pointer, old size, alignment, new size) -> pointer"
    )]
    Realloc {
        /// Function that needs it.
        function: String,
        /// Reason that the function needs it.
        why: &'static str,
        /// The export.
        export: String,
        /// Core type found.
        found: String,
    },
    /// More parameters than the component model passes as core values.
    #[error(
        "the export `{export}` takes {found} parameters, but a component passes at most 16 directly: take one pointer (i32) to all of them in memory, and declare the {found} in `wit`"
    )]
    TooManyParams {
        /// The export.
        export: String,
        /// Number of its parameters.
        found: usize,
    },
    /// Function of the WIT that cannot be called with values.
    #[error("`wit` declares `{function}`, {what}")]
    NotCallable {
        /// The function.
        function: String,
        /// Reason, and advice.
        what: &'static str,
    },
    /// Type of the WIT without plain values, or one that components do not allow.
    #[error("`wit` declares `{function}`, but {place} is {what}")]
    UnsupportedType {
        /// The function.
        function: String,
        /// Parameter or result, with the path in it.
        place: String,
        /// Type found, and the reason for the refusal.
        what: String,
    },
    /// Core type without a WIT type.
    #[error("the export `{export}` {what}: declare its type in `wit`")]
    NoWitType {
        /// The export.
        export: String,
        /// Part of it that has no WIT type.
        what: String,
    },
    /// Function with strings or lists, in a module with a 64-bit memory.
    #[error(
        "`{function}` {why}, which components do not pass in a 64-bit memory like the module's"
    )]
    WideMemory {
        /// The function.
        function: String,
        /// Reason that the function needs the memory.
        why: &'static str,
    },
    /// Import from WASI preview 1 with another type than the function has.
    #[error("the module imports `{import}` from `{module}` as {found}, expected {expected}")]
    ImportType {
        /// The function.
        import: String,
        /// The interface.
        module: String,
        /// Core type of the import.
        found: String,
        /// Core type of the function.
        expected: String,
    },
    /// Imports that neither WASI preview 1 nor the WIT provides.
    #[error("{0}")]
    UnknownImports(super::UnknownImports),
    /// Refusal of the encoder for another reason.
    #[error("the module cannot be made a component: {message}")]
    Encode {
        /// Message of the encoder.
        message: String,
    },
}
