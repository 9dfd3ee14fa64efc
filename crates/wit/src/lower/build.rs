//! Values of several parts, put together: records whatever the order of their fields, one case of many.

use std::collections::BTreeSet;

use wasmtime::component::Val;

use super::Run;
use crate::error::{Found, LowerError, Mismatch, type_name};
use crate::shape::{Names, Record, ResultShape, Shape, Variant};

/// Items reserved on a source's word before any has been seen.
pub(crate) const TRUSTED_LEN: usize = 256;

/// Parameters that a message lists at most.
const MAX_SHOWN: usize = 8;

pub(crate) fn some(value: Val) -> Val {
    Val::Option(Some(Box::new(value)))
}

/// Key and value of a pair that was lowered as a tuple.
pub(crate) fn split(pair: Val) -> Option<(Val, Val)> {
    match pair {
        Val::Tuple(both) => {
            let mut both = both.into_iter();
            Some((both.next()?, both.next()?))
        }
        _ => None,
    }
}

/// All arguments: those given, and none for options left out at the end.
pub(crate) fn complete(params: &Record, mut values: Vec<Val>) -> Result<Val, LowerError> {
    let left_out = params.shapes.get(values.len()..).unwrap_or_default();
    if !left_out.iter().all(Shape::is_option) {
        return Err(wrong_count(params, values.len()));
    }
    values.extend(left_out.iter().map(|_| Val::Option(None)));
    Ok(Val::Tuple(values))
}

/// The error of `found` arguments for `params`.
pub(crate) fn wrong_count(params: &Record, found: usize) -> LowerError {
    let most = params.shapes.len();
    let least = params.shapes.iter().rposition(|shape| !shape.is_option()).map_or(0, |at| at + 1);
    let count = match (least, most) {
        (_, 0) => return LowerError::Count { expected: "no arguments".to_owned(), found },
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{most} arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    let named = |(name, shape)| format!("{name}: {}", type_name(shape));
    let shown = params.names.as_slice().iter().zip(&params.shapes).take(MAX_SHOWN);
    let mut list: Vec<String> = shown.map(named).collect();
    if most > MAX_SHOWN {
        list.push("…".to_owned());
    }
    LowerError::Count { expected: format!("{count} ({})", list.join(", ")), found }
}

/// A record while its fields arrive.
pub(crate) struct RecordBuilder<'p> {
    record: &'p Record,
    /// The first fields, as long as they arrive in the order of the type.
    values: Vec<(String, Val)>,
    /// All fields by position, from the first that was out of order.
    slots: Option<Vec<Option<Val>>>,
}

impl<'p> RecordBuilder<'p> {
    pub(crate) fn new(record: &'p Record) -> Self {
        Self { record, values: Vec::with_capacity(record.shapes.len()), slots: None }
    }

    /// Where the field `name` goes.
    pub(crate) fn slot(&self, name: &str) -> Result<(usize, &'p Shape), Mismatch> {
        let names = &self.record.names;
        let at = names.find_from(self.values.len(), name);
        let unknown = || Mismatch::unknown_field(name, names);
        let at = at.ok_or_else(unknown)?;
        let taken = match &self.slots {
            None => at < self.values.len(),
            Some(slots) => matches!(slots.get(at), Some(Some(_))),
        };
        if taken {
            return Err(Mismatch::DuplicateField { name: names.name(at).to_owned() });
        }
        Ok((at, self.record.shapes.get(at).ok_or_else(unknown)?))
    }

    /// Fills the slot that [`RecordBuilder::slot`] gave.
    pub(crate) fn put(&mut self, at: usize, value: Val) {
        if self.slots.is_none() && at == self.values.len() {
            self.values.push((self.record.names.name(at).to_owned(), value));
            return;
        }
        let record = self.record;
        let values = &mut self.values;
        let slots = self.slots.get_or_insert_with(|| {
            let mut slots: Vec<_> = values.drain(..).map(|(_, value)| Some(value)).collect();
            slots.resize_with(record.shapes.len(), || None);
            slots
        });
        if let Some(slot) = slots.get_mut(at) {
            *slot = Some(value);
        }
    }

    /// The record, its absent options none.
    pub(crate) fn finish(mut self, run: &Run) -> Result<Val, Mismatch> {
        run.grant();
        if let Some(slots) = self.slots.take() {
            for value in slots {
                match value {
                    Some(value) => {
                        let name = self.record.names.name(self.values.len()).to_owned();
                        self.values.push((name, value));
                    }
                    None => self.imply(run)?,
                }
            }
        }
        while self.values.len() < self.record.shapes.len() {
            self.imply(run)?;
        }
        Ok(Val::Record(self.values))
    }

    /// Fills the next field, which was left out.
    fn imply(&mut self, run: &Run) -> Result<(), Mismatch> {
        let at = self.values.len();
        let name = self.record.names.name(at);
        match self.record.shapes.get(at) {
            Some(Shape::Option(_)) => {
                run.imply(size_of::<(String, Val)>() + name.len() + 2 * size_of::<usize>())?;
                self.values.push((name.to_owned(), Val::Option(None)));
                Ok(())
            }
            shape => Err(Mismatch::MissingField {
                name: name.to_owned(),
                expected: shape.map(type_name).unwrap_or_default(),
            }),
        }
    }
}

/// A type whose value is one of several named cases.
#[derive(Clone, Copy)]
pub(crate) enum OneOf<'p> {
    Variant(&'p Variant),
    Enum(&'p Names),
    Result(&'p ResultShape),
    /// `{"some": …}` of a nested option.
    Marked(&'p Shape),
}

impl<'p> OneOf<'p> {
    pub(crate) fn of(shape: &'p Shape) -> Option<Self> {
        match shape {
            Shape::Variant(variant) => Some(Self::Variant(variant)),
            Shape::Enum(names) => Some(Self::Enum(names)),
            Shape::Result(result) => Some(Self::Result(result)),
            Shape::Option(option) if option.marked => Some(Self::Marked(&option.some)),
            _ => None,
        }
    }

    /// The case called `name`.
    pub(crate) fn find(self, name: &str) -> Result<usize, Mismatch> {
        let unknown = |name: &str, hint: &str| Mismatch::UnknownCase {
            what: "case",
            name: match Found::text(name) {
                Found::Text(text) => text,
                _ => String::new(),
            },
            hint: format!(": expected {hint}"),
        };
        match self {
            Self::Variant(Variant { names, .. }) | Self::Enum(names) => {
                names.find(name).ok_or_else(|| Mismatch::unknown_case("case", name, names))
            }
            // Rust's own `Result` writes its cases with capitals.
            Self::Result(_) => match name {
                "ok" | "Ok" => Ok(0),
                "err" | "Err" => Ok(1),
                _ => Err(unknown(name, "`ok` or `err`")),
            },
            Self::Marked(_) if name == "some" => Ok(0),
            Self::Marked(_) => Err(unknown(name, "`some`, or null for none")),
        }
    }

    pub(crate) fn name(self, at: usize) -> &'p str {
        match self {
            Self::Variant(Variant { names, .. }) | Self::Enum(names) => names.name(at),
            Self::Result(_) if at == 0 => "ok",
            Self::Result(_) => "err",
            Self::Marked(_) => "some",
        }
    }

    pub(crate) fn payload(self, at: usize) -> Option<&'p Shape> {
        match self {
            Self::Variant(variant) => variant.payloads.get(at)?.as_ref(),
            Self::Enum(_) => None,
            Self::Result(result) if at == 0 => result.ok.as_ref(),
            Self::Result(result) => result.err.as_ref(),
            Self::Marked(some) => Some(some),
        }
    }

    /// The value of a case; the payload has been made by [`OneOf::payload`].
    pub(crate) fn build(self, at: usize, payload: Option<Val>) -> Val {
        let payload = payload.map(Box::new);
        match self {
            Self::Variant(_) => Val::Variant(self.name(at).to_owned(), payload),
            Self::Enum(_) => Val::Enum(self.name(at).to_owned()),
            Self::Result(_) if at == 0 => Val::Result(Ok(payload)),
            Self::Result(_) => Val::Result(Err(payload)),
            Self::Marked(_) => Val::Option(payload),
        }
    }

    /// A case written by its name alone.
    pub(crate) fn bare(self, name: &str) -> Result<Val, Mismatch> {
        self.bare_at(self.find(name)?)
    }

    pub(crate) fn bare_at(self, at: usize) -> Result<Val, Mismatch> {
        match self.payload(at) {
            None => Ok(self.build(at, None)),
            Some(shape) => Err(Mismatch::MissingPayload {
                case: self.name(at).to_owned(),
                expected: type_name(shape),
            }),
        }
    }

    pub(crate) fn unexpected_payload(self, at: usize, found: Found) -> Mismatch {
        Mismatch::UnexpectedPayload { case: self.name(at).to_owned(), found }
    }
}

/// Flags while their names arrive, in whichever order; the value has them in the order of the type.
pub(crate) struct FlagsBuilder<'p> {
    names: &'p Names,
    given: BTreeSet<usize>,
}

impl<'p> FlagsBuilder<'p> {
    pub(crate) fn new(names: &'p Names) -> Self {
        Self { names, given: BTreeSet::new() }
    }

    pub(crate) fn put(&mut self, name: &str) -> Result<(), Mismatch> {
        let unknown = || Mismatch::unknown_case("flag", name, self.names);
        let at = self.names.find(name).ok_or_else(unknown)?;
        if !self.given.insert(at) {
            return Err(Mismatch::DuplicateFlag { name: name.to_owned() });
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Val {
        Val::Flags(self.given.into_iter().map(|at| self.names.name(at).to_owned()).collect())
    }
}
