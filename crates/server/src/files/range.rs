//! The range of a request for a part of a file (RFC 9110 §14).

use std::ops::RangeInclusive;

use http::{HeaderMap, header};

/// A requested range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteRange {
    /// From this byte to the end.
    From(u64),
    /// From the first to the last byte, both included.
    Between(u64, u64),
    /// This many bytes at the end.
    Last(u64),
}

impl ByteRange {
    /// Parses the field. `None` stands for the whole file: the field is absent, malformed, in another unit, or has
    /// several ranges.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::RANGE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        Self::parse(line.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, set) = text.split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") || set.starts_with([' ', '\t']) {
            return None;
        }
        let elements = set.split(',').map(|one| one.trim_matches([' ', '\t']));
        let mut ranges = elements.filter(|one| !one.is_empty());
        let (Some(only), None) = (ranges.next(), ranges.next()) else { return None };
        match only.split_once('-')? {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The range within a file of this length, at least one byte; `None` if it is empty.
    pub(super) fn within(self, length: u64) -> Option<RangeInclusive<u64>> {
        let end = length.checked_sub(1)?;
        match self {
            Self::From(first) => (first <= end).then_some(first..=end),
            Self::Between(first, last) => (first <= end).then_some(first..=last.min(end)),
            Self::Last(0) => None,
            Self::Last(count) => Some(length.saturating_sub(count)..=end),
        }
    }
}

/// Parses digits. A number that is too large lies beyond the end of every file.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_range_is_served_and_others_get_the_whole_file() {
        use ByteRange::{Between, From, Last};
        for (text, range) in [
            ("bytes=0-", From(0)),
            ("bytes=2-4", Between(2, 4)),
            ("bytes=-5", Last(5)),
            ("bytes=-0", Last(0)),
            ("Bytes=0-3", Between(0, 3)),
            ("BYTES=0-3", Between(0, 3)),
            ("bytes=,0-3,", Between(0, 3)),
            ("bytes=, 0-3 ,", Between(0, 3)),
            ("bytes=007-8", Between(7, 8)),
            ("bytes=0-99999999999999999999999", Between(0, u64::MAX)),
            ("bytes=99999999999999999999999-", From(u64::MAX)),
        ] {
            assert_eq!(ByteRange::parse(text), Some(range), "{text}");
        }
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=abc",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes=a-",
            "bytes=-a",
            "bytes=0-b",
            "bytes=+1-4",
            "bytes=0x1-4",
            "bytes=1 -4",
            "bytes= 0-4",
            "bytes =0-4",
            "bytes=--5",
            "bytes=1-2-3",
            "bytes=1.0-2",
            "items=0-1",
            "0-4",
            "=0-4",
            "bytes:0-4",
            "bytes=,",
        ] {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_end_where_the_file_does() {
        use ByteRange::{Between, From, Last};
        assert_eq!(From(9).within(10), Some(9..=9));
        assert_eq!(From(10).within(10), None);
        assert_eq!(Between(3, u64::MAX).within(10), Some(3..=9));
        assert_eq!(Last(3).within(10), Some(7..=9));
        assert_eq!(Last(11).within(10), Some(0..=9));
        assert_eq!(Last(0).within(10), None);
        assert_eq!(Last(u64::MAX).within(u64::MAX), Some(0..=u64::MAX - 1));
        assert_eq!(From(0).within(0), None);
        assert_eq!(Last(1).within(0), None);
    }
}
