//! Packed values: checked values in one byte string, between any source and a guest's memory.
//!
//! The bytes hold values in the order of their type, little-endian and without padding. Reading needs only the type,
//! and one allocation holds any number of values:
//!
//! | type | bytes |
//! |---|---|
//! | `bool` | 1: 0 or 1 |
//! | integers, floats, `char` | their width |
//! | `string` | length in bytes (`u32`), UTF-8 |
//! | `list<T>` | number of items (`u32`), the items |
//! | `list<T, N>`, `tuple`, `record`, the arguments of a call | the items, fields or arguments in order |
//! | `map<K, V>` | number of pairs (`u32`), each key followed by its value |
//! | `variant`, `enum` | discriminant of the width that the canonical ABI gives it, payload |
//! | `option`, `result` | 1: 0 for none and ok, 1 for some and err; payload |
//! | `flags` | one bit each, of the width that the canonical ABI gives them |
//!
//! A list of numbers therefore has the same bytes here and in a guest's memory.

mod vals;

use smallvec::SmallVec;

use crate::shape::Shape;

pub(crate) use vals::{from_val, to_val};

/// Bytes stored without an allocation: enough for a few numbers.
const INLINE: usize = 24;

/// Values of one type, checked and packed: arguments of a call, or its result.
///
/// A [`Mapping`](crate::Mapping) makes and reads them. The mapping of another function misreads them, or refuses those
/// that it cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packed(SmallVec<[u8; INLINE]>);

impl Packed {
    /// Returns the size of the values in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there are no values, or only values of size zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader(&self.0)
    }
}

impl From<Vec<u8>> for Packed {
    fn from(bytes: Vec<u8>) -> Self {
        Self(if bytes.len() <= INLINE { SmallVec::from_slice(&bytes) } else { bytes.into() })
    }
}

/// Buffer to append packed values to.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// Reserves room for further bytes.
    fn reserve(&mut self, bytes: usize);

    fn len(&self) -> usize;

    /// Overwrites a length at `at`, which was written before its content.
    fn patch(&mut self, at: usize, len: u32);
}

macro_rules! sinks {
    ($($ty:ty, $this:ident => $buffer:expr;)*) => {$(
        impl Sink for $ty {
            #[inline]
            fn put(&mut self, bytes: &[u8]) {
                let $this = self;
                $buffer.extend_from_slice(bytes);
            }

            #[inline]
            fn reserve(&mut self, bytes: usize) {
                let $this = self;
                $buffer.reserve(bytes);
            }

            #[inline]
            fn len(&self) -> usize {
                let $this = self;
                $buffer.len()
            }

            #[inline]
            fn patch(&mut self, at: usize, len: u32) {
                let $this = self;
                if let Some(place) = $buffer.get_mut(at..at + size_of::<u32>()) {
                    place.copy_from_slice(&len.to_le_bytes());
                }
            }
        }
    )*};
}

sinks! {
    Vec<u8>, this => this;
    Packed, this => this.0;
}

/// Error for bytes that are not a value of the type by which they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value does not match the result type of the function")]
pub(crate) struct Malformed;

/// Bytes of a discriminant of `cases` cases in the canonical ABI.
pub(crate) fn discriminant_width(cases: usize) -> usize {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Bytes of `flags` flags in the canonical ABI; it allows 32 flags, and more are stored in words here.
pub(crate) fn flags_width(flags: usize) -> usize {
    match flags {
        0 => 0,
        1..=8 => 1,
        9..=16 => 2,
        _ => flags.div_ceil(32) * 4,
    }
}

/// Reader of packed bytes, from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

macro_rules! numbers {
    ($($name:ident)*) => {$(
        #[inline]
        pub(crate) fn $name(&mut self) -> Result<$name, Malformed> {
            self.array().map($name::from_le_bytes)
        }
    )*};
}

impl<'a> Reader<'a> {
    numbers!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

    /// Reads from the front of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the unread bytes.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.u8()? != 0)
    }

    pub(crate) fn char(&mut self) -> Result<char, Malformed> {
        char::from_u32(self.u32()?).ok_or(Malformed)
    }

    /// Reads the number of items, pairs or bytes that follow.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        Ok(self.u32()? as usize)
    }

    /// Reads the content of a string or a list of bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.count()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// Reads the position of one of `cases` cases.
    pub(crate) fn case(&mut self, cases: usize) -> Result<usize, Malformed> {
        let at = match discriminant_width(cases) {
            1 => self.u8()?.into(),
            2 => self.u16()?.into(),
            _ => self.u32()? as usize,
        };
        if at < cases { Ok(at) } else { Err(Malformed) }
    }

    /// Reads the positions of the set flags of `flags`, in order.
    pub(crate) fn flags(
        &mut self,
        flags: usize,
    ) -> Result<impl Iterator<Item = usize> + Clone + 'a, Malformed> {
        let bits = self.take(flags_width(flags))?;
        let is_set =
            move |at: &usize| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        Ok((0..flags).filter(is_set))
    }

    /// Skips a value.
    pub(crate) fn skip(&mut self, shape: &Shape) -> Result<(), Malformed> {
        match shape {
            Shape::Bool | Shape::S8 | Shape::U8 => self.take(1).map(drop),
            Shape::S16 | Shape::U16 => self.take(2).map(drop),
            Shape::S32 | Shape::U32 | Shape::F32 | Shape::Char => self.take(4).map(drop),
            Shape::S64 | Shape::U64 | Shape::F64 => self.take(8).map(drop),
            Shape::String | Shape::Bytes(None) => self.bytes().map(drop),
            Shape::Bytes(Some(len)) => self.take(*len as usize).map(drop),
            Shape::List(item) => self.count().and_then(|count| self.skip_each(item, count)),
            Shape::FixedList(item, count) => self.skip_each(item, *count as usize),
            Shape::Map(map) => self.count().and_then(|count| self.skip_each(&map.pair, count)),
            Shape::Tuple(shapes) => shapes.iter().try_for_each(|shape| self.skip(shape)),
            Shape::Record(record) | Shape::Arguments(record) => {
                record.shapes.iter().try_for_each(|shape| self.skip(shape))
            }
            Shape::Variant(variant) => {
                let at = self.case(variant.payloads.len())?;
                self.skip_payload(variant.payloads.get(at).and_then(Option::as_ref))
            }
            Shape::Enum(names) => self.case(names.len()).map(drop),
            Shape::Option(option) => match self.bool()? {
                true => self.skip(&option.some),
                false => Ok(()),
            },
            Shape::Result(result) => {
                let is_error = self.bool()?;
                self.skip_payload(if is_error { result.err.as_ref() } else { result.ok.as_ref() })
            }
            Shape::Flags(names) => self.take(flags_width(names.len())).map(drop),
        }
    }

    fn skip_each(&mut self, item: &Shape, count: usize) -> Result<(), Malformed> {
        (0..count).try_for_each(|_| self.skip(item))
    }

    fn skip_payload(&mut self, shape: Option<&Shape>) -> Result<(), Malformed> {
        shape.map_or(Ok(()), |shape| self.skip(shape))
    }
}

/// Appends the discriminant of the case at `at` of `cases`.
pub(crate) fn push_case(out: &mut Vec<u8>, at: usize, cases: usize) {
    let at = u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&at[..discriminant_width(cases)]);
}

/// Appends `flags` flags, of which those at `set` are set.
pub(crate) fn push_flags(out: &mut Vec<u8>, set: impl IntoIterator<Item = usize>, flags: usize) {
    let start = out.len();
    out.resize(start + flags_width(flags), 0);
    for at in set {
        if let Some(byte) = out.get_mut(start + at / 8) {
            *byte |= 1 << (at % 8);
        }
    }
}
