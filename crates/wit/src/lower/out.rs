//! Packed bytes of one lowering: values are appended in the order in which they arrive.

use std::cell::RefCell;
use std::ops::Range;

use crate::error::Mismatch;
use crate::packed::{Packed, Reader, push_case, push_flags};
use crate::shape::Shape;

/// Bytes of a count.
const COUNT: usize = size_of::<u32>();

/// Bytes reserved when the final size is unknown.
pub(crate) const FIRST: usize = 64;

/// Output with cells for fields, because seeds and serializers copy a reference to it. No borrow outlives the function
/// that takes it.
pub(crate) struct Output {
    bytes: RefCell<Vec<u8>>,
    /// Spans of fields out of order, of all open records: those of the innermost are last.
    spans: RefCell<Vec<Option<Range<usize>>>>,
    /// Buffer for a record that is put in order, allocated once.
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

    /// Offset of the next value.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Removes all bytes from `end` on.
    #[inline]
    pub(crate) fn truncate(&self, end: usize) {
        self.bytes.borrow_mut().truncate(end);
    }

    #[inline]
    pub(crate) fn byte(&self, byte: u8) {
        self.bytes.borrow_mut().push(byte);
    }

    /// Appends a number.
    #[inline]
    pub(crate) fn array<const N: usize>(&self, bytes: [u8; N]) {
        self.bytes.borrow_mut().extend_from_slice(&bytes);
    }

    /// Appends a string or a list of bytes, of type `shape`.
    #[inline]
    pub(crate) fn counted(&self, shape: &Shape, contents: &[u8]) -> Result<(), Mismatch> {
        let count = count(shape, contents.len())?;
        let mut bytes = self.bytes.borrow_mut();
        bytes.reserve(COUNT + contents.len());
        bytes.extend_from_slice(&count);
        bytes.extend_from_slice(contents);
        Ok(())
    }

    /// Appends bytes without a count.
    pub(crate) fn plain(&self, contents: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(contents);
    }

    /// Appends the mark of an option with a value; the value follows.
    #[inline]
    pub(crate) fn some(&self) {
        self.byte(1);
    }

    /// Appends an option without a value.
    #[inline]
    pub(crate) fn none(&self) {
        self.byte(0);
    }

    /// Appends the discriminant of the case at `at` of `cases`; its payload follows.
    pub(crate) fn case(&self, at: usize, cases: usize) {
        push_case(&mut self.bytes.borrow_mut(), at, cases);
    }

    /// Appends `flags` unset flags; returns their offset.
    pub(crate) fn no_flags(&self, flags: usize) -> usize {
        let start = self.end();
        push_flags(&mut self.bytes.borrow_mut(), [], flags);
        start
    }

    /// Sets a flag of those at `start`; returns true if it was set before.
    pub(crate) fn set_flag(&self, start: usize, at: usize) -> bool {
        let bit = 1 << (at % 8);
        let mut bytes = self.bytes.borrow_mut();
        let Some(byte) = bytes.get_mut(start + at / 8) else { return false };
        let was_set = *byte & bit != 0;
        *byte |= bit;
        was_set
    }

    /// Reserves room for a count; returns its offset.
    #[inline]
    pub(crate) fn begin_list(&self) -> usize {
        let start = self.end();
        self.array([0; COUNT]);
        start
    }

    /// Fills in the count of the list of type `shape` that began at `start`.
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

    /// Appends an empty list, string or map.
    pub(crate) fn empty_list(&self) {
        self.array([0; COUNT]);
    }

    /// Reads the output from `start` on.
    pub(crate) fn read<T>(&self, start: usize, read: impl FnOnce(Reader<'_>) -> T) -> T {
        read(Reader::new(self.bytes.borrow().get(start..).unwrap_or_default()))
    }
}

/// Fields of a record out of order.
impl Output {
    /// Starts to keep the spans of `fields` fields, all absent so far; returns their position.
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

    /// Writes the fields kept from `kept` on in the order of their type, from `start` on, where all of them are.
    /// `absent` decides whether an absent field may be omitted, by its position among them.
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

/// Count of a value of type `shape` with `items` items or bytes.
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
