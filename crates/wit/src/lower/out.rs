//! The packed bytes of one lowering while they are written: values are appended where they are seen.

use std::cell::RefCell;
use std::ops::Range;

use crate::error::Mismatch;
use crate::packed::{Packed, Reader, push_case, push_flags};
use crate::shape::Shape;

/// Bytes of a count.
const COUNT: usize = size_of::<u32>();

/// Bytes that are reserved where nothing tells how many there will be.
pub(crate) const FIRST: usize = 64;

/// Seeds and serializers are copied about with a reference to this, so that its fields are cells. No borrow
/// outlives the function that takes it.
pub(crate) struct Output {
    bytes: RefCell<Vec<u8>>,
    /// Spans of fields that came out of order, of all records under way: those of the innermost are last.
    spans: RefCell<Vec<Option<Range<usize>>>>,
    /// The bytes of a record that is put in order, kept so that it is allocated once.
    scratch: RefCell<Vec<u8>>,
}

impl Output {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: RefCell::new(Vec::with_capacity(capacity)),
            spans: RefCell::new(Vec::new()),
            scratch: RefCell::new(Vec::new()),
        }
    }

    pub(crate) fn into_packed(self) -> Packed {
        self.bytes.into_inner().into()
    }

    /// Start of the next value.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Takes back all that begins at `end` or after it.
    #[inline]
    pub(crate) fn truncate(&self, end: usize) {
        self.bytes.borrow_mut().truncate(end);
    }

    #[inline]
    pub(crate) fn byte(&self, byte: u8) {
        self.bytes.borrow_mut().push(byte);
    }

    /// A number.
    #[inline]
    pub(crate) fn array<const N: usize>(&self, bytes: [u8; N]) {
        self.bytes.borrow_mut().extend_from_slice(&bytes);
    }

    /// A string, or a list of bytes: of `shape`.
    #[inline]
    pub(crate) fn counted(&self, shape: &Shape, contents: &[u8]) -> Result<(), Mismatch> {
        let count = count(shape, contents.len())?;
        let mut bytes = self.bytes.borrow_mut();
        bytes.reserve(COUNT + contents.len());
        bytes.extend_from_slice(&count);
        bytes.extend_from_slice(contents);
        Ok(())
    }

    /// Bytes that have no count.
    pub(crate) fn plain(&self, contents: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(contents);
    }

    /// The mark of an option that holds something, which comes before that.
    #[inline]
    pub(crate) fn some(&self) {
        self.byte(1);
    }

    /// An option that holds nothing.
    #[inline]
    pub(crate) fn none(&self) {
        self.byte(0);
    }

    /// The discriminant of the case at `at` of `cases`, which comes before its payload.
    pub(crate) fn case(&self, at: usize, cases: usize) {
        push_case(&mut self.bytes.borrow_mut(), at, cases);
    }

    /// `flags` flags, none of them set; says where they are.
    pub(crate) fn no_flags(&self, flags: usize) -> usize {
        let start = self.end();
        push_flags(&mut self.bytes.borrow_mut(), [], flags);
        start
    }

    /// Sets a flag of those at `start`; says whether it was set before.
    pub(crate) fn set_flag(&self, start: usize, at: usize) -> bool {
        let bit = 1 << (at % 8);
        let mut bytes = self.bytes.borrow_mut();
        let Some(byte) = bytes.get_mut(start + at / 8) else { return false };
        let was_set = *byte & bit != 0;
        *byte |= bit;
        was_set
    }

    /// Leaves room for a count, which is known at the end; says where.
    #[inline]
    pub(crate) fn begin_list(&self) -> usize {
        let start = self.end();
        self.array([0; COUNT]);
        start
    }

    /// Fills in the count of the list of `shape` that was begun at `start`.
    #[inline]
    pub(crate) fn end_list(
        &self,
        shape: &Shape,
        start: usize,
        items: usize,
    ) -> Result<(), Mismatch> {
        let count = count(shape, items)?;
        if let Some(place) = self.bytes.borrow_mut().get_mut(start..start + COUNT) {
            place.copy_from_slice(&count);
        }
        Ok(())
    }

    /// A list, string or map of nothing.
    pub(crate) fn empty_list(&self) {
        self.array([0; COUNT]);
    }

    /// Reads what was written from `start` on.
    pub(crate) fn read<T>(&self, start: usize, read: impl FnOnce(Reader<'_>) -> T) -> T {
        read(Reader::new(self.bytes.borrow().get(start..).unwrap_or_default()))
    }
}

/// Fields of a record that came out of order.
impl Output {
    /// Begins to keep `fields` of them, none of which has come yet; says where.
    pub(crate) fn keep_spans(&self, fields: usize) -> usize {
        let mut spans = self.spans.borrow_mut();
        let start = spans.len();
        spans.resize(start + fields, None);
        start
    }

    pub(crate) fn has_span(&self, at: usize) -> bool {
        matches!(self.spans.borrow().get(at), Some(Some(_)))
    }

    pub(crate) fn put_span(&self, at: usize, start: usize) {
        let end = self.end();
        if let Some(span) = self.spans.borrow_mut().get_mut(at) {
            *span = Some(start..end);
        }
    }

    /// Writes the fields that are kept at `kept` and after it in their order, from `start` on, where all of
    /// them are. `absent` tells whether one that has not come may be left out, by its position among them.
    pub(crate) fn put_in_order<E>(
        &self,
        kept: usize,
        start: usize,
        mut absent: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = self.bytes.borrow_mut();
        let mut spans = self.spans.borrow_mut();
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        scratch.extend_from_slice(bytes.get(start..).unwrap_or_default());
        bytes.truncate(start);
        for (at, span) in spans.get(kept..).unwrap_or_default().iter().enumerate() {
            match span {
                Some(span) => {
                    let field = scratch.get(span.start - start..span.end - start);
                    bytes.extend_from_slice(field.unwrap_or_default());
                }
                None => {
                    absent(at)?;
                    bytes.push(0);
                }
            }
        }
        spans.truncate(kept);
        Ok(())
    }
}

/// The count of a value of `shape`, which has `items` items or bytes.
#[inline]
fn count(shape: &Shape, items: usize) -> Result<[u8; COUNT], Mismatch> {
    match u32::try_from(items) {
        Ok(count) => Ok(count.to_le_bytes()),
        Err(_) => Err(Mismatch::too_long(shape, items)),
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Output};
    use crate::shape::Shape;

    #[test]
    fn a_list_longer_than_any_memory_is_refused_in_words() {
        let out = Output::with_capacity(FIRST);
        let start = out.begin_list();
        let list = Shape::List(Box::new(Shape::U8));
        assert_eq!(out.end_list(&list, start, u32::MAX as usize), Ok(()));
        #[cfg(target_pointer_width = "64")]
        assert_eq!(
            out.end_list(&list, start, 1 << 32).map_err(|mismatch| mismatch.to_string()),
            Err("expected list<u8> of at most 4294967295, found 4294967296".to_owned())
        );
    }
}
