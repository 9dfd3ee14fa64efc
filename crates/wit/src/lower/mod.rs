//! Lowering: values of any source become packed values, by the plan of the signature.
//!
//! The [`Run`] records a mismatch where it is found, and the source's own error type only carries a marker up. So all
//! sources give the same errors, and a successful lowering pays nothing for paths.

pub(crate) mod build;
pub(crate) mod json;
mod out;
pub(crate) mod rust;
pub(crate) mod scalar;
pub(crate) mod source;

use std::cell::{Cell, RefCell};
use std::fmt;

use crisol_core::Value;
use serde::{Deserializer as _, Serialize};
use wasmtime::component::Val;

use crate::error::{LowerError, Mismatch, Segment, ValuePath};
use crate::packed::{Malformed, Packed, to_val};
use crate::shape::{Record, Shape};
use out::Output;
use source::Seed;

/// Lowers a value that is not an argument, such as a result.
pub(crate) fn value(shape: &Shape, value: Value) -> Result<Packed, LowerError> {
    let run = Run::new(true, true);
    let lowered = value.deserialize_any(Seed { shape, run: &run });
    run.finish(lowered, None)
}

/// Like [`value`], for a Rust type.
pub(crate) fn rust_value<T: Serialize + ?Sized>(
    shape: &Shape,
    value: &T,
) -> Result<Packed, LowerError> {
    let run = Run::new(true, false);
    let lowered = rust::lower(shape, &run, value);
    run.finish(lowered, None)
}

/// Converts a lowered value to wasmtime's own.
pub(crate) fn unpacked(shape: &Shape, value: &Packed) -> Result<Val, LowerError> {
    let malformed =
        |error: Malformed| LowerError::Source { place: None, message: error.to_string() };
    to_val(shape, &mut value.reader()).map_err(malformed)
}

/// Bytes that omitted fields may take in one call, before any grant for the records sent.
const IMPLIED_ROOM: usize = 64 << 20;

/// Further bytes that omitted fields may take for each record sent.
const IMPLIED_PER_RECORD: usize = 256;

/// State of one lowering and its output.
pub(crate) struct Run {
    pub(crate) out: Output,
    /// True if `NaN` and the infinities may be text.
    pub(crate) human_readable: bool,
    /// True if the source is text whose reader turns integers out of its range into floats.
    pub(crate) rounds: bool,
    failure: RefCell<Option<Failure>>,
    /// Segments, innermost first: filled while an error climbs out.
    path: RefCell<Vec<Segment>>,
    implied_room: Cell<usize>,
}

enum Failure {
    Value(Box<Mismatch>),
    Whole(LowerError),
}

/// Marker in the source's own error for the failure that a [`Run`] recorded.
pub(crate) struct Noted;

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not fit its type")
    }
}

impl Run {
    pub(crate) fn new(human_readable: bool, rounds: bool) -> Self {
        Self::with_capacity(human_readable, rounds, out::FIRST)
    }

    /// Like [`Run::new`], for a source of `size` bytes.
    pub(crate) fn with_capacity(human_readable: bool, rounds: bool, size: usize) -> Self {
        Self {
            out: Output::with_capacity(size),
            human_readable,
            rounds,
            failure: RefCell::new(None),
            path: RefCell::new(Vec::new()),
            implied_room: Cell::new(IMPLIED_ROOM),
        }
    }

    #[cold]
    pub(crate) fn note(&self, mismatch: Mismatch) -> Noted {
        self.failure.borrow_mut().get_or_insert(Failure::Value(Box::new(mismatch)));
        Noted
    }

    #[cold]
    pub(crate) fn note_whole(&self, error: LowerError) -> Noted {
        self.failure.borrow_mut().get_or_insert(Failure::Whole(error));
        Noted
    }

    /// Records that the current error came from inside `segment`.
    #[cold]
    pub(crate) fn came_from(&self, segment: Segment) {
        self.path.borrow_mut().push(segment);
    }

    /// Grants the bytes that one sent record may omit.
    pub(crate) fn grant(&self) {
        self.implied_room.set(self.implied_room.get().saturating_add(IMPLIED_PER_RECORD));
    }

    /// Charges a field that a record omits.
    pub(crate) fn imply(&self, bytes: usize) -> Result<(), Mismatch> {
        let room = self.implied_room.get().checked_sub(bytes);
        self.implied_room.set(room.ok_or(Mismatch::TooMuchImplied)?);
        Ok(())
    }

    /// Returns the output; `params` are the parameters, if arguments were lowered.
    ///
    /// A source that continued after an error has left half a value, so the error stands; its path is lost.
    pub(crate) fn finish<E: fmt::Display>(
        self,
        lowered: Result<(), E>,
        params: Option<&Record>,
    ) -> Result<Packed, LowerError> {
        let failed = self.failure.borrow().is_some() || !self.path.borrow().is_empty();
        let error: &dyn fmt::Display = match &lowered {
            Ok(()) if !failed => return Ok(self.out.into_packed()),
            Ok(()) => {
                self.path.borrow_mut().clear();
                &Noted
            }
            Err(error) => error,
        };
        Err(match params {
            Some(params) => self.into_error(params, error),
            None => self.into_value_error(error),
        })
    }

    /// Error of a value that is not an argument.
    #[cold]
    fn into_value_error(self, source: &dyn fmt::Display) -> LowerError {
        let mut path = self.path.into_inner();
        path.reverse();
        let place = ValuePath { argument: None, path };
        match self.failure.into_inner() {
            Some(Failure::Whole(error)) => error,
            Some(Failure::Value(mismatch)) => LowerError::Value { place, mismatch },
            None => LowerError::Source { place: Some(place), message: source.to_string() },
        }
    }

    /// Builds the final error.
    #[cold]
    fn into_error(self, params: &Record, source: &dyn fmt::Display) -> LowerError {
        let mut path = self.path.into_inner();
        let argument = match path.pop() {
            Some(Segment::Index(at)) => Some((at, params.names.name(at).to_owned())),
            Some(Segment::Name(name)) => params.names.find(&name).map(|at| (at, name)),
            _ => None,
        };
        path.reverse();
        let place = argument.map(|argument| ValuePath { argument: Some(argument), path });
        match (self.failure.into_inner(), place) {
            (Some(Failure::Whole(error)), _) => error,
            (Some(Failure::Value(mismatch)), Some(place)) => LowerError::Value { place, mismatch },
            (Some(Failure::Value(mismatch)), None) => LowerError::Arguments { mismatch },
            (None, place) => LowerError::Source { place, message: source.to_string() },
        }
    }
}
