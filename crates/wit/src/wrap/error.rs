//! Why a core module cannot become a component.

/// Why a core module cannot become a component: what is missing, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The bytes are not a valid core module.
    #[error("the module is invalid: {message} (at byte {offset})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where, in bytes from the start.
        offset: u64,
    },
    /// The WIT text is malformed, or names what it does not define.
    #[error("`wit` is invalid: {message}")]
    Wit {
        /// What is wrong and where, with the line.
        message: String,
    },
    /// The WIT text exports nothing to call.
    #[error("`wit` declares no function: add one, such as `{example}: func();`")]
    NothingDeclared {
        /// The name of the function that is asked for.
        example: String,
    },
    /// The module lacks a function that is declared or asked for.
    #[error("the module does not export {wanted}: {hint}")]
    MissingFunction {
        /// The function, and the names it was looked for under.
        wanted: String,
        /// The nearest export, or all of them.
        hint: String,
    },
    /// The module lacks a function that is declared or asked for, and has no other.
    #[error("the module does not export {wanted}: it exports no function")]
    NothingExported {
        /// The function, and the names it was looked for under.
        wanted: String,
    },
    /// Two exports could be meant.
    #[error("`{wanted}` could be any of the exports {found}: name one exactly")]
    Ambiguous {
        /// The function.
        wanted: String,
        /// The exports.
        found: String,
    },
    /// The function that a reactor begins with is of another type, so that nothing can call it.
    #[error(
        "the export `_initialize` is {found}, but has to take nothing and give nothing, as it is called before any other"
    )]
    Initialize {
        /// Its core type.
        found: String,
    },
    /// An export is of another core type than its WIT type comes to.
    #[error("the export `{export}` is {found}, but `{wit}` needs {expected}")]
    CoreType {
        /// The export.
        export: String,
        /// Its core type.
        found: String,
        /// The function as WIT.
        wit: String,
        /// The core type of that.
        expected: String,
    },
    /// The module lacks what strings, lists and large values are handed over by.
    #[error("`{function}` {why}, so the module has to export {export}")]
    MissingSupport {
        /// The function that needs it.
        function: String,
        /// What about it does.
        why: &'static str,
        /// What to export, with its type.
        export: &'static str,
    },
    /// The function that allocates for arguments is of another type than the one by which it is called.
    #[error(
        "`{function}` {why}, and the export `{export}`, which allocates for them, is {found}: it has to be (i32, i32, i32, i32) -> i32, \
         (old pointer, old size, alignment, new size) -> pointer"
    )]
    Realloc {
        /// The function that needs it.
        function: String,
        /// What about it does.
        why: &'static str,
        /// The export.
        export: String,
        /// Its core type.
        found: String,
    },
    /// More parameters than the component model hands over by themselves.
    #[error(
        "the export `{export}` takes {found} parameters, and a component hands over 16 at most by themselves: have it take one pointer (i32) to all of them in memory, and declare the {found} in `wit`"
    )]
    TooManyParams {
        /// The export.
        export: String,
        /// How many it takes.
        found: usize,
    },
    /// A function of the WIT that cannot be called with values, or not to its end.
    #[error("`wit` declares `{function}`, {what}")]
    NotCallable {
        /// The function.
        function: String,
        /// Why it cannot, and what to do.
        what: &'static str,
    },
    /// A type of the WIT that no plain value can stand for, or that components do not allow.
    #[error("`wit` declares `{function}`, but {place} is {what}")]
    UnsupportedType {
        /// The function.
        function: String,
        /// Which parameter, or the result, and where in it.
        place: String,
        /// What it is, and why that will not do.
        what: String,
    },
    /// A core type that has no WIT type of its own.
    #[error("the export `{export}` {what}: declare what it means in `wit`")]
    NoWitType {
        /// The export.
        export: String,
        /// What about it has no WIT type.
        what: String,
    },
    /// A function of strings or lists, in a module of a 64-bit memory.
    #[error(
        "`{function}` {why}, and components do not hand those over in a 64-bit memory, which the module has"
    )]
    WideMemory {
        /// The function.
        function: String,
        /// What about it needs the memory.
        why: &'static str,
    },
    /// A function of WASI preview 1 is imported with another type than it has.
    #[error("the module imports `{import}` from `{module}` as {found}, and it is {expected}")]
    ImportType {
        /// The function.
        import: String,
        /// The interface.
        module: String,
        /// The core type by which it is imported.
        found: String,
        /// Its core type.
        expected: String,
    },
    /// Imports that neither WASI preview 1 nor the WIT provides.
    #[error("{0}")]
    UnknownImports(super::UnknownImports),
    /// The encoder refused for another reason.
    #[error("the module cannot be made a component: {message}")]
    Encode {
        /// What the encoder says.
        message: String,
    },
}
