//! Conditions of a request for a file, in the order of RFC 9110 §13.2.2.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::range::ByteRange;
use crate::etag::{EntityTag, TagList};

/// Start of the year 10000, from which HTTP dates cannot be written.
const YEAR_10000: u64 = 253_402_300_800;

/// Validators of a file's version.
#[derive(Debug, Clone, Default)]
pub(super) struct Validators {
    /// Strong entity tag.
    pub(super) tag: Option<HeaderValue>,
    /// Last change in whole seconds, as in `Last-Modified`.
    pub(super) modified: Option<SystemTime>,
}

impl Validators {
    /// Validators of a file that was changed at `modified`.
    pub(super) fn new(length: u64, modified: Option<SystemTime>, now: SystemTime) -> Self {
        let Some(modified) = modified else { return Self::default() };
        let (sign, since) = match modified.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => ("", since),
            Err(before) => ("-", before.duration()),
        };
        let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
        let tag = format!("\"{sign}{seconds:x}.{nanos:x}-{length:x}\"");
        // A future date is not a valid `Last-Modified` (RFC 9110 §8.8.2.1), and a date before 1970 cannot be
        // written.
        let seconds = match modified.min(now).duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) if since.as_secs() < YEAR_10000 => Some(since.as_secs()),
            _ => None,
        };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Self { tag: HeaderValue::try_from(tag).ok(), modified: seconds.map(at) }
    }

    /// Value of `Last-Modified`.
    pub(super) fn last_modified(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(httpdate::fmt_http_date(self.modified?)).ok()
    }

    fn entity_tag(&self) -> Option<EntityTag<'_>> {
        self.tag.as_ref().and_then(EntityTag::parse)
    }
}

/// Kind of response to a request for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileResponse {
    /// `412`.
    Failed,
    /// `304`.
    NotModified,
    /// `416`.
    Unsatisfiable,
    /// `200`.
    Whole,
    /// `206`.
    Part(RangeInclusive<u64>),
}

impl FileResponse {
    /// Evaluates the conditions of a `GET` or `HEAD` request for a file of this length.
    pub(super) fn of(
        method: &Method,
        headers: &HeaderMap,
        length: u64,
        validators: &Validators,
        now: SystemTime,
    ) -> Self {
        if !is_wanted(headers, validators) {
            return Self::Failed;
        }
        if is_known(headers, validators) {
            return Self::NotModified;
        }
        // An empty range cannot be written in `Content-Range`, and clients that ask for the first bytes of every
        // file want the file: an empty file is sent whole.
        let ranged = *method == Method::GET && length > 0;
        match ByteRange::of(headers).filter(|_| ranged && is_same(headers, validators, now)) {
            Some(range) => range.within(length).map_or(Self::Unsatisfiable, Self::Part),
            None => Self::Whole,
        }
    }
}

/// Evaluates `If-Match`, or without it `If-Unmodified-Since`.
fn is_wanted(headers: &HeaderMap, validators: &Validators) -> bool {
    if let Some(list) = TagList::of(headers, &header::IF_MATCH) {
        return list.holds_strongly(validators.entity_tag());
    }
    match (date(headers, &header::IF_UNMODIFIED_SINCE), validators.modified) {
        (Some(since), Some(modified)) => modified <= since,
        _ => true,
    }
}

/// Evaluates `If-None-Match`, or without it `If-Modified-Since`.
fn is_known(headers: &HeaderMap, validators: &Validators) -> bool {
    if let Some(list) = TagList::of(headers, &header::IF_NONE_MATCH) {
        return list.holds_weakly(validators.entity_tag());
    }
    match (date(headers, &header::IF_MODIFIED_SINCE), validators.modified) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// Evaluates `If-Range`: true if the client has a part of this same version. A date counts only after the second
/// that it names, within which the file could have changed twice (RFC 9110 §8.8.2.2).
fn is_same(headers: &HeaderMap, validators: &Validators, now: SystemTime) -> bool {
    let mut lines = headers.get_all(header::IF_RANGE).iter();
    let condition = match (lines.next(), lines.next()) {
        (None, _) => return true,
        (Some(_), Some(_)) => return false,
        (Some(condition), None) => condition,
    };
    if let Some(tag) = EntityTag::parse(condition) {
        return validators.entity_tag().is_some_and(|own| own.is_strongly(&tag));
    }
    let over = |modified: &SystemTime| *modified + Duration::from_secs(1) <= now;
    match (date(headers, &header::IF_RANGE), validators.modified.filter(over)) {
        (Some(date), Some(modified)) => date == modified,
        _ => false,
    }
}

/// Parses a field with a single date; any other value counts as absent.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    httpdate::parse_http_date(line.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn shown(modified: Option<SystemTime>, now: SystemTime) -> [String; 2] {
        let validators = Validators::new(16, modified, now);
        let text = |value: Option<HeaderValue>| {
            value.map_or(String::new(), |value| value.to_str().unwrap_or_default().to_owned())
        };
        [text(validators.tag.clone()), text(validators.last_modified())]
    }

    #[test]
    fn validators_are_written_for_every_time() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let (late, later) = (at(YEAR_10000), at(YEAR_10000 + 1));
        let epoch = "Thu, 01 Jan 1970 00:00:16 GMT".to_owned();
        assert_eq!(shown(None, at(16)), [String::new(), String::new()]);
        assert_eq!(shown(Some(before), at(16)), ["\"-1.0-10\"".to_owned(), String::new()]);
        assert_eq!(shown(Some(at(16)), at(99)), ["\"10.0-10\"".to_owned(), epoch.clone()]);
        // A future change is treated as one that happened now.
        assert_eq!(shown(Some(at(17)), at(16)), ["\"11.0-10\"".to_owned(), epoch]);
        assert_eq!(shown(Some(late), later), ["\"3afff44180.0-10\"".to_owned(), String::new()]);
    }

    #[test]
    fn a_date_names_a_version_when_its_second_is_over() {
        let value = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:16 GMT");
        let headers = HeaderMap::from_iter([(header::IF_RANGE, value)]);
        for (now, same) in [(at(16), false), (at(17), true), (at(99), true)] {
            let validators = Validators::new(16, Some(at(16)), now);
            assert_eq!(is_same(&headers, &validators, now), same, "{now:?}");
        }
    }
}
