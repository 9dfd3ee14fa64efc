//! Request bodies in memory, within the service's total for all bodies.

use bytes::Bytes;
use crisol_core::{BoxError, Budget, OverBudget, Reservation};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::body::Body;

/// A complete body with its reservation, which is kept as long as anything made of the body.
#[derive(Debug)]
pub(crate) struct CollectedBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: Reservation,
}

/// Reason why a body is incomplete.
#[derive(Debug)]
pub(crate) enum CollectError {
    /// The body ended with an error.
    Broken(BoxError),
    /// The body exceeds the limit on all bodies in total.
    TooLarge,
    /// All bodies in total have reached the limit.
    NoRoom(OverBudget),
}

/// Reads a body to its end. Bytes are reserved as they arrive; an announced length reserves nothing.
pub(crate) async fn collect(
    mut body: Body,
    budget: &Budget,
) -> Result<CollectedBody, CollectError> {
    if body.size_hint().lower() > budget.limit() {
        return Err(CollectError::TooLarge);
    }
    let (mut gathered, mut read) = (Gathered::of(body.size_hint().exact(), budget.open()), 0);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(CollectError::Broken)?.into_data() {
            read += data.len() as u64;
            gathered.push(data).map_err(|over| match read > budget.limit() {
                true => CollectError::TooLarge,
                false => CollectError::NoRoom(over),
            })?;
        }
    }
    Ok(gathered.whole())
}

/// Bytes that have arrived. A body in one piece is not copied. Pieces are copied into one buffer, since many small
/// ones would take a multiple of their bytes.
struct Gathered {
    announced: Option<usize>,
    piece: Bytes,
    buffer: Vec<u8>,
    held: Reservation,
}

impl Gathered {
    fn of(announced: Option<u64>, held: Reservation) -> Self {
        let announced = announced.and_then(|length| usize::try_from(length).ok());
        Self { announced, piece: Bytes::new(), buffer: Vec::new(), held }
    }

    fn push(&mut self, data: Bytes) -> Result<(), OverBudget> {
        if self.piece.is_empty() && self.buffer.is_empty() {
            self.held.grow(data.len() as u64)?;
            self.piece = data;
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.make_room(piece.len().saturating_add(data.len()))?;
        self.buffer.extend_from_slice(&piece);
        self.buffer.extend_from_slice(&data);
        Ok(())
    }

    /// Doubles the buffer, within the announced length and the budget.
    fn make_room(&mut self, more: usize) -> Result<(), OverBudget> {
        let (length, capacity) = (self.buffer.len(), self.buffer.capacity());
        let needed = length.saturating_add(more);
        if needed <= capacity {
            return Ok(());
        }
        let most = self.announced.unwrap_or(usize::MAX).max(needed);
        let doubled = needed.saturating_mul(2).min(most);
        let size = if self.hold(doubled).is_ok() { doubled } else { needed };
        self.hold(size)?;
        self.buffer.reserve_exact(size - length);
        Ok(())
    }

    /// Raises the reservation to `size` bytes.
    fn hold(&mut self, size: usize) -> Result<(), OverBudget> {
        self.held.grow((size as u64).saturating_sub(self.held.bytes()))
    }

    fn whole(self) -> CollectedBody {
        let bytes = if self.buffer.is_empty() { self.piece } else { self.buffer.into() };
        CollectedBody { bytes, held: self.held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(announced: Option<u64>, budget: &Budget, pieces: &[&[u8]]) -> Option<CollectedBody> {
        let mut gathered = Gathered::of(announced, budget.open());
        for piece in pieces {
            gathered.push(Bytes::copy_from_slice(piece)).ok()?;
        }
        Some(gathered.whole())
    }

    #[test]
    fn body_parts_are_joined_and_reserved() {
        let budget = Budget::new(1000);
        for (announced, pieces, held) in [
            (None, &[][..], 0),
            (None, &[&b"ab"[..]][..], 2),
            (None, &[b"", b"ab", b"", b"cd"], 4),
            (None, &[b"ab", b"cd"], 8),
            (Some(4), &[b"ab", b"cd"], 4),
            (Some(500), &[b"ab", b"cd"], 8),
            (Some(6), &[b"ab", b"cd", b"ef"], 6),
            (None, &[b"ab", b"cd", b"ef"], 8),
        ] {
            let whole = gather(announced, &budget, pieces).unwrap();
            assert_eq!(whole.bytes, pieces.concat(), "{pieces:?}");
            assert_eq!(whole.held.bytes(), held, "{announced:?} {pieces:?}");
            assert_eq!(budget.used(), held);
        }
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_body_beyond_the_budget_is_refused_and_reserves_nothing() {
        let budget = Budget::new(5);
        assert!(gather(None, &budget, &[b"abcdef"]).is_none());
        assert!(gather(Some(6), &budget, &[b"abc", b"def"]).is_none());
        assert!(gather(Some(5), &budget, &[b"abc", b"de"]).is_some());
        assert!(gather(None, &budget, &[b"ab", b"cd", b"e"]).is_some(), "no room to double");
        assert_eq!(budget.used(), 0);
    }
}
