//! Errors of a call, shared by all edges.

mod details;
mod kind;
mod limit;
mod text;

use std::sync::Arc;

pub use details::ErrorDetails;
pub use kind::ErrorKind;
pub use limit::{Overload, ResourceLimit, Spent};

use crate::{EntryId, Value};

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Error of a failed call: the called entry, the kind of the failure with its details, and the cause.
///
/// Edges decide by [`CallError::kind`]; [`CallError::details`] has the facts of one failure, for a caller that needs
/// them:
///
/// ```
/// use crisol_core::{CallError, ErrorDetails, ErrorKind};
///
/// fn describe(error: &CallError) -> String {
///     match error.details() {
///         ErrorDetails::Exited { code } => format!("exit code {code}"),
///         _ if error.kind() == ErrorKind::Saturated => "try again later".to_owned(),
///         _ => error.to_string(),
///     }
/// }
///
/// let error = CallError::new(&"myns:tool".parse()?, ErrorDetails::Exited { code: 3 });
/// assert_eq!((error.entry(), describe(&error).as_str()), ("myns:tool", "exit code 3"));
/// # Ok::<(), crisol_core::EntryIdError>(())
/// ```
///
/// The [`Display`](std::fmt::Display) text includes the cause with all its sources, and is for logs and developers.
/// [`source`](std::error::Error::source) is therefore empty, so that no cause is printed twice; use
/// [`CallError::cause`] for a downcast. Send [`CallError::public_message`] to callers outside the process.
#[derive(Debug)]
pub struct CallError(Box<Failed>);

/// Facts of a failed call, boxed: results of calls are moved through many layers.
#[derive(Debug)]
struct Failed {
    entry: Arc<str>,
    details: ErrorDetails,
    cause: Option<BoxError>,
}

impl CallError {
    /// Creates the error of a call of `entry`, without a cause.
    #[must_use]
    pub fn new(entry: &EntryId, details: ErrorDetails) -> Self {
        Self::of(entry.shared(), details, None)
    }

    fn of(entry: Arc<str>, details: ErrorDetails, cause: Option<BoxError>) -> Self {
        Self(Box::new(Failed { entry, details, cause }))
    }

    fn caused(entry: &EntryId, details: ErrorDetails, cause: impl Into<BoxError>) -> Self {
        Self::of(entry.shared(), details, Some(cause.into()))
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<BoxError>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Creates an [`ErrorDetails::NotFound`] for an id that no entry has; `nearest` is the most similar function.
    #[must_use]
    pub fn not_found(asked: &str, nearest: Option<EntryId>) -> Self {
        Self::of(asked.into(), ErrorDetails::NotFound { what: None, nearest }, None)
    }

    /// Creates an [`ErrorDetails::NotFound`] for an entry that is not a function; `what` describes it: `is of kind …`.
    #[must_use]
    pub fn not_a_function(entry: &EntryId, what: impl Into<Box<str>>) -> Self {
        Self::new(entry, ErrorDetails::NotFound { what: Some(what.into()), nearest: None })
    }

    /// Creates an [`ErrorDetails::InvalidInput`]; the cause names the argument, and the expected and the actual value.
    #[must_use]
    pub fn invalid_input(entry: &EntryId, cause: impl Into<BoxError>) -> Self {
        Self::caused(entry, ErrorDetails::InvalidInput, cause)
    }

    /// Creates an [`ErrorDetails::Function`]; `error` is null if the error side of the `result` has no payload.
    #[must_use]
    pub fn function(entry: &EntryId, error: Value) -> Self {
        Self::new(entry, ErrorDetails::Function { error })
    }

    /// Creates an [`ErrorDetails::Trap`]; the cause is the trap with the guest's backtrace.
    #[must_use]
    pub fn trap(entry: &EntryId, cause: impl Into<BoxError>) -> Self {
        Self::caused(entry, ErrorDetails::Trap, cause)
    }

    /// Creates an [`ErrorDetails::Saturated`].
    #[must_use]
    pub fn saturated(entry: &EntryId, overload: Overload) -> Self {
        Self::new(entry, ErrorDetails::Saturated(overload))
    }

    /// Creates an [`ErrorDetails::Environment`]; the cause names the missing item and its expected place.
    #[must_use]
    pub fn environment(entry: &EntryId, cause: impl Into<BoxError>) -> Self {
        Self::caused(entry, ErrorDetails::Environment, cause)
    }

    /// Creates an [`ErrorDetails::Unavailable`].
    #[must_use]
    pub fn unavailable(entry: &EntryId) -> Self {
        Self::new(entry, ErrorDetails::Unavailable)
    }

    /// Creates an [`ErrorDetails::Interrupted`].
    #[must_use]
    pub fn interrupted(entry: &EntryId) -> Self {
        Self::new(entry, ErrorDetails::Interrupted)
    }

    /// Creates an [`ErrorDetails::UnexpectedResult`]; the cause is the position at which the types differ.
    #[must_use]
    pub fn unexpected_result(entry: &EntryId, cause: impl Into<BoxError>) -> Self {
        Self::caused(entry, ErrorDetails::UnexpectedResult, cause)
    }

    /// Creates an [`ErrorDetails::Internal`]; the cause is the defect.
    #[must_use]
    pub fn internal(entry: &EntryId, cause: impl Into<BoxError>) -> Self {
        Self::caused(entry, ErrorDetails::Internal, cause)
    }

    /// Id of the called entry; for an unknown one, the id as the caller wrote it.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.0.entry
    }

    /// Kind of the failure, by which edges decide.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.details.kind()
    }

    /// Returns true if nothing of the call ran and a later call may succeed, so that it is safe to repeat.
    #[must_use]
    pub fn is_safe_to_repeat(&self) -> bool {
        match &self.0.details {
            ErrorDetails::Saturated(overload) => !overload.has_started(),
            ErrorDetails::Unavailable => true,
            _ => false,
        }
    }

    /// Facts of the failure, by its kind.
    #[must_use]
    pub fn details(&self) -> &ErrorDetails {
        &self.0.details
    }

    /// Facts of the failure, for an interceptor that adds to them.
    #[must_use]
    pub fn details_mut(&mut self) -> &mut ErrorDetails {
        &mut self.0.details
    }

    /// Error value of the function's own `result`, if the function returned one.
    #[must_use]
    pub fn function_error(&self) -> Option<&Value> {
        match &self.0.details {
            ErrorDetails::Function { error } => Some(error),
            _ => None,
        }
    }

    /// Takes the error value of the function's own `result`.
    ///
    /// # Errors
    /// Returns the error itself if it is of another kind.
    pub fn into_function_error(mut self) -> Result<Value, Self> {
        match &mut self.0.details {
            ErrorDetails::Function { error } => Ok(std::mem::replace(error, Value::Null)),
            _ => Err(self),
        }
    }

    /// The underlying error, for failures that have one.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }
}
