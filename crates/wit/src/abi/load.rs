//! Lifts values out of a guest into packed bytes. Guest data is checked, never trusted.

use wasmtime::Error;

use super::encoding::Encoding;
use super::plan::{Cases, Node, Number, Typed};
use super::store::STRETCH;
use crate::packed::{Sink, discriminant_width};

/// Error for a result larger than [`Lifting::max_output`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the result has more than {allowed} bytes")]
pub struct OverOutput {
    /// Allowed bytes.
    pub allowed: u64,
}

/// Limits on the output of a guest.
pub trait Lifting {
    /// Most bytes of content in a result: numbers by their width, text and lists by their content.
    fn max_output(&self) -> u64;

    /// Charges bytes of guest memory before they are copied: a hostile guest may point at the same bytes many times.
    ///
    /// # Errors
    /// Fails when the total is too large.
    fn spend(&mut self, bytes: usize) -> wasmtime::Result<()>;

    /// Checks the deadline; called between pieces of work.
    ///
    /// # Errors
    /// Fails when the deadline has passed.
    fn check(&mut self) -> wasmtime::Result<()>;
}

/// Lifting of one result.
pub(super) struct Load<'m, 'l, L, S> {
    pub(super) memory: &'m [u8],
    pub(super) encoding: Encoding,
    pub(super) lifting: &'l mut L,
    pub(super) out: S,
    /// Number of lengths in `out`, which do not count as content.
    pub(super) lengths: usize,
}

impl<L: Lifting, S: Sink> Load<'_, '_, L, S> {
    /// Checks the content so far plus `more` bytes against the limit.
    #[inline]
    pub(super) fn bound(&self, more: usize) -> wasmtime::Result<()> {
        let contents = self.out.len() + more - self.lengths * size_of::<u32>();
        let allowed = self.lifting.max_output();
        if contents as u64 > allowed { Err(over(allowed)) } else { Ok(()) }
    }

    /// Reads bytes inside a value whose bounds were checked.
    #[inline]
    fn array<const N: usize>(&self, at: usize) -> wasmtime::Result<[u8; N]> {
        let bytes = self.memory.get(at..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or_else(out_of_bounds)
    }

    #[inline]
    fn number<const N: usize>(&mut self, at: usize) -> wasmtime::Result<()> {
        let bytes: [u8; N] = self.array(at)?;
        self.out.put(&bytes);
        Ok(())
    }

    #[inline]
    fn u32(&self, at: usize) -> wasmtime::Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn copy(&mut self, at: usize, len: usize) -> wasmtime::Result<()> {
        let bytes = self.memory.get(at..).and_then(|memory| memory.get(..len));
        self.out.put(bytes.ok_or_else(out_of_bounds)?);
        Ok(())
    }

    /// Appends the value at `at`; its own bytes are within bounds.
    pub(super) fn get(&mut self, node: &Node, at: usize) -> wasmtime::Result<()> {
        match node {
            Node::Fixed(item, len) => self.items(item, *len as usize, at),
            Node::Each(fields) => {
                for field in fields {
                    self.field(&field.ty.node, at + field.offset as usize)?;
                }
                Ok(())
            }
            Node::Cases(cases) => {
                let case = self.discriminant(at, cases.width)?;
                match self.case(cases, case)? {
                    Some(payload) => self.get(&payload.node, at + cases.payload as usize),
                    None => Ok(()),
                }
            }
            node => self.field(node, at),
        }
    }

    /// Like [`Load::get`], but appends the usual types of a record's fields without another call.
    #[inline]
    fn field(&mut self, node: &Node, at: usize) -> wasmtime::Result<()> {
        match node {
            Node::Bool => {
                let [byte] = self.array(at)?;
                self.out.put(&[(byte != 0).into()]);
                Ok(())
            }
            Node::Char => self.char(self.u32(at)?),
            Node::Number(number) => match number.width() {
                1 => self.number::<1>(at),
                2 => self.number::<2>(at),
                4 => self.number::<4>(at),
                _ => self.number::<8>(at),
            },
            Node::Flags(width) => self.copy(at, *width as usize),
            Node::Text => {
                let (start, len) = self.pair(at)?;
                self.text(start, len)
            }
            Node::List(item, what) => {
                let (start, count) = self.pair(at)?;
                self.list((item, what), start, count)
            }
            Node::Enum(cases) => {
                let width = discriminant_width(*cases);
                let case = self.discriminant(at, width)?;
                self.put_case(case, width, *cases)
            }
            Node::Fixed(..) | Node::Each(_) | Node::Cases(_) => self.get(node, at),
        }
    }

    /// Reads the pointer and the length at `at`.
    #[inline]
    fn pair(&self, at: usize) -> wasmtime::Result<(u32, u32)> {
        let pair = u64::from_le_bytes(self.array(at)?);
        Ok((pair as u32, (pair >> 32) as u32))
    }

    fn char(&mut self, bits: u32) -> wasmtime::Result<()> {
        let c = char::try_from(bits)?;
        self.out.put(&u32::from(c).to_le_bytes());
        Ok(())
    }

    fn discriminant(&self, at: usize, width: usize) -> wasmtime::Result<u32> {
        Ok(match width {
            1 => u8::from_le_bytes(self.array(at)?).into(),
            2 => u16::from_le_bytes(self.array(at)?).into(),
            _ => self.u32(at)?,
        })
    }

    /// Appends a discriminant of `width` bytes; fails unless it is below `cases`.
    fn put_case(&mut self, case: u32, width: usize, cases: usize) -> wasmtime::Result<()> {
        if case as usize >= cases {
            let message = format!("discriminant {case} out of range [0..{cases})");
            return Err(Error::msg(message));
        }
        self.out.put(&case.to_le_bytes()[..width]);
        Ok(())
    }

    /// Appends a discriminant and returns the type of the payload that follows.
    fn case<'c>(&mut self, cases: &'c Cases, case: u32) -> wasmtime::Result<Option<&'c Typed>> {
        self.put_case(case, cases.width, cases.payloads.len())?;
        Ok(cases.payloads.get(case as usize).and_then(Option::as_ref))
    }

    fn text(&mut self, at: u32, len: u32) -> wasmtime::Result<()> {
        let (bytes, align) = self.encoding.extent(len);
        let at = at as usize;
        if !at.is_multiple_of(align) {
            return Err(misaligned_text(align));
        }
        let text = at.checked_add(bytes).and_then(|end| self.memory.get(at..end));
        let text = text.ok_or_else(text_out_of_bounds)?;
        self.lifting.spend(bytes)?;
        self.bound(bytes)?;
        self.lengths += 1;
        if self.encoding == Encoding::Utf8 {
            str::from_utf8(text)?;
            self.out.put(&len.to_le_bytes());
            self.out.put(text);
            return Ok(());
        }
        let start = self.out.len();
        self.out.put(&[0; 4]);
        self.encoding.decode(len, text, &mut self.out)?;
        // Text of UTF-16 grows by at most half in UTF-8, so the length stays below 4 GiB.
        let len = (self.out.len() - start - 4) as u32;
        self.out.patch(start, len);
        Ok(())
    }

    fn list(&mut self, (item, what): (&Typed, &str), at: u32, count: u32) -> wasmtime::Result<()> {
        let (at, size) = (at as usize, item.size as usize * count as usize);
        if at.checked_add(size).is_none_or(|end| end > self.memory.len()) {
            return Err(Error::msg(format!("{what} pointer/length out of bounds of memory")));
        }
        if !at.is_multiple_of(item.align as usize) {
            return Err(Error::msg(format!("{what} pointer is not aligned")));
        }
        // Items of size zero cost no bytes but are built, so each is charged as one byte.
        self.lifting.spend(size.max(count as usize))?;
        self.bound(if item.is_plain() { size } else { count as usize })?;
        self.out.reserve(size);
        self.out.put(&count.to_le_bytes());
        self.lengths += 1;
        self.items(item, count as usize, at)
    }

    fn items(&mut self, item: &Typed, count: usize, at: usize) -> wasmtime::Result<()> {
        let size = item.size as usize;
        if item.is_plain() {
            return self.copy(at, count * size);
        }
        for index in 0..count {
            if index % STRETCH == STRETCH - 1 {
                self.lifting.check()?;
                self.bound(0)?;
            }
            self.field(&item.node, at + index * size)?;
        }
        Ok(())
    }

    /// Appends a value that is flattened to at most one core value.
    pub(super) fn flat(&mut self, node: &Node, bits: u64) -> wasmtime::Result<()> {
        match node {
            Node::Bool => self.out.put(&[(bits as u32 != 0).into()]),
            Node::Char => self.char(bits as u32)?,
            Node::Number(number) => {
                let bits = match number {
                    Number::I64 | Number::F64 => bits,
                    _ => (bits as u32).into(),
                };
                self.out.put(&bits.to_le_bytes()[..number.width()]);
            }
            Node::Flags(width) => {
                let width = (*width as usize).min(4);
                self.out.put(&bits.to_le_bytes()[..width]);
            }
            Node::Fixed(item, len) => {
                for _ in 0..*len {
                    self.flat(&item.node, bits)?;
                }
            }
            // At most one field takes a core value.
            Node::Each(fields) => {
                for field in fields {
                    self.flat(&field.ty.node, bits)?;
                }
            }
            Node::Enum(cases) => {
                self.put_case(bits as u32, discriminant_width(*cases), *cases)?;
            }
            Node::Cases(cases) => {
                if let Some(payload) = self.case(cases, bits as u32)? {
                    self.flat(&payload.node, 0)?;
                }
            }
            // These take two core values.
            Node::Text | Node::List(..) => return Err(out_of_bounds()),
        }
        Ok(())
    }
}

#[cold]
fn over(allowed: u64) -> Error {
    Error::new(OverOutput { allowed })
}

#[cold]
fn misaligned_text(align: usize) -> Error {
    Error::msg(format!("string pointer not aligned to {align}"))
}

#[cold]
fn text_out_of_bounds() -> Error {
    Error::msg("string pointer/length out of bounds of memory")
}

#[cold]
fn out_of_bounds() -> Error {
    Error::msg("pointer out of bounds of memory")
}
