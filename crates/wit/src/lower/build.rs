//! Builders for values of several parts: records with fields in any order, one case of several.

use wasmtime::component::Val;

use super::Run;
use crate::error::{LowerError, Mismatch, Unexpected, type_name};
use crate::shape::{Names, Record, ResultShape, Shape, Variant};

/// Most parameters listed in a message.
const MAX_SHOWN: usize = 8;

/// Ends the arguments after `given` of them are written: omitted options at the end become none.
pub(crate) fn complete(params: &Record, given: usize, run: &Run) -> Result<(), LowerError> {
    let left_out = params.shapes.get(given..).unwrap_or_default();
    if !left_out.iter().all(Shape::is_option) {
        return Err(wrong_count(params, given));
    }
    left_out.iter().for_each(|_| run.out.none());
    Ok(())
}

/// Error for `found` arguments where `params` are declared.
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

/// Record under construction: each field is written where the last one ends. Fields from the first out of order on are
/// sorted at the end.
pub(crate) struct RecordBuilder<'p> {
    record: &'p Record,
    run: &'p Run,
    /// Number of leading fields that arrived in the order of the type.
    in_order: usize,
    apart: Option<Apart>,
    /// Start of the next value, from the first field out of order on.
    next: usize,
}

/// Fields from the first out of order on.
#[derive(Clone, Copy)]
struct Apart {
    /// Start of their bytes.
    start: usize,
    /// Position of their spans in the [`Output`](super::out::Output).
    spans: usize,
}

impl<'p> RecordBuilder<'p> {
    #[inline]
    pub(crate) fn new(record: &'p Record, run: &'p Run) -> Self {
        Self { record, run, in_order: 0, apart: None, next: 0 }
    }

    /// Finds the field `name`, whose value is written next.
    #[inline]
    pub(crate) fn slot(&mut self, name: &str) -> Result<(usize, &'p Shape), Mismatch> {
        let names = &self.record.names;
        let unknown = || Mismatch::unknown_field(name, names);
        let at = names.find_from(self.in_order, name).ok_or_else(unknown)?;
        if self.apart.is_some() || at != self.in_order {
            self.set_apart(at)?;
        }
        Ok((at, self.record.shapes.get(at).ok_or_else(unknown)?))
    }

    /// Prepares for a field out of order.
    fn set_apart(&mut self, at: usize) -> Result<(), Mismatch> {
        let kept = at.checked_sub(self.in_order);
        let is_taken = match (kept, self.apart) {
            (None, _) => true,
            (Some(kept), Some(apart)) => self.run.out.has_span(apart.spans + kept),
            (Some(_), None) => false,
        };
        if is_taken {
            let name = self.record.names.name(at).to_owned();
            return Err(Mismatch::DuplicateField { name });
        }
        self.next = self.run.out.end();
        Ok(())
    }

    /// Ends the field from [`RecordBuilder::slot`], after its value is written.
    #[inline]
    pub(crate) fn put(&mut self, at: usize) {
        if self.apart.is_none() && at == self.in_order {
            self.in_order += 1;
        } else {
            self.put_apart(at);
        }
    }

    fn put_apart(&mut self, at: usize) {
        let (in_order, start, out) = (self.in_order, self.next, &self.run.out);
        let fields = self.record.shapes.len().saturating_sub(in_order);
        let apart =
            self.apart.get_or_insert_with(|| Apart { start, spans: out.keep_spans(fields) });
        out.put_span(apart.spans + at.saturating_sub(in_order), start);
    }

    /// Ends the record; its omitted options become none.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), Mismatch> {
        self.run.grant();
        if let Some(Apart { start, spans }) = self.apart {
            let absent = |at| self.imply(self.in_order + at);
            return self.run.out.put_in_order(spans, start, absent);
        }
        for at in self.in_order..self.record.shapes.len() {
            self.imply(at)?;
            self.run.out.none();
        }
        Ok(())
    }

    /// Charges an omitted field. A call may use trees of `Val`s, so the charge is the size of a tree.
    fn imply(&self, at: usize) -> Result<(), Mismatch> {
        let name = self.record.names.name(at);
        match self.record.shapes.get(at) {
            Some(Shape::Option(_)) => {
                self.run.imply(size_of::<(String, Val)>() + name.len() + 2 * size_of::<usize>())
            }
            shape => Err(Mismatch::MissingField {
                name: name.to_owned(),
                expected: shape.map(type_name).unwrap_or_default(),
            }),
        }
    }
}

/// Type with named cases.
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

    /// Finds the case `name`.
    pub(crate) fn find(self, name: &str) -> Result<usize, Mismatch> {
        let unknown = |name: &str, hint: &str| Mismatch::UnknownCase {
            what: "case",
            name: match Unexpected::text(name) {
                Unexpected::Text(text) => text,
                _ => String::new(),
            },
            hint: format!(": expected {hint}"),
        };
        match self {
            Self::Variant(Variant { names, .. }) | Self::Enum(names) => {
                names.find(name).ok_or_else(|| Mismatch::unknown_case("case", name, names))
            }
            // Rust's own `Result` has capitals in its case names.
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

    /// Begins the case at `at`; its payload follows, if it has one.
    pub(crate) fn begin(self, at: usize, run: &Run) {
        match self {
            Self::Variant(Variant { names, .. }) | Self::Enum(names) => {
                run.out.case(at, names.len());
            }
            Self::Result(_) => run.out.byte((at != 0).into()),
            Self::Marked(_) => run.out.some(),
        }
    }

    /// Writes a case given by its name alone.
    pub(crate) fn bare(self, name: &str, run: &Run) -> Result<(), Mismatch> {
        self.bare_at(self.find(name)?, run)
    }

    pub(crate) fn bare_at(self, at: usize, run: &Run) -> Result<(), Mismatch> {
        match self.payload(at) {
            None => {
                self.begin(at, run);
                Ok(())
            }
            Some(shape) => Err(Mismatch::MissingPayload {
                case: self.name(at).to_owned(),
                expected: type_name(shape),
            }),
        }
    }

    pub(crate) fn unexpected_payload(self, at: usize, found: Unexpected) -> Mismatch {
        Mismatch::UnexpectedPayload { case: self.name(at).to_owned(), found }
    }
}

/// Flags under construction; their names arrive in any order.
pub(crate) struct FlagsBuilder<'p> {
    names: &'p Names,
    run: &'p Run,
    /// Start of their bytes.
    start: usize,
}

impl<'p> FlagsBuilder<'p> {
    pub(crate) fn new(names: &'p Names, run: &'p Run) -> Self {
        Self { names, run, start: run.out.no_flags(names.len()) }
    }

    pub(crate) fn put(&self, name: &str) -> Result<(), Mismatch> {
        let unknown = || Mismatch::unknown_case("flag", name, self.names);
        let at = self.names.find(name).ok_or_else(unknown)?;
        if self.run.out.set_flag(self.start, at) {
            return Err(Mismatch::DuplicateFlag { name: name.to_owned() });
        }
        Ok(())
    }
}
