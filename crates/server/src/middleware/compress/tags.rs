//! Entity tags of compressed content. They differ from those of the content itself, so that a client or
//! cache never joins parts of the two (RFC 9110 §8.8.3.3).
//!
//! On the way in, conditions with such a tag become conditions on the content itself, which is all that a
//! route knows.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::accept::Choice;
use crate::etag::{EntityTag, TagList};

/// The end of a tag of compressed content. Unlike `-gzip`, no known server that a route may stand for uses it.
const SUFFIX: &[u8] = b":gzip";

/// The client's own `If-None-Match`, when a tag in it was of compressed content.
pub(super) struct Known(Vec<HeaderValue>);

/// Turns the conditions of a request into conditions on content without a coding.
pub(super) fn decode(method: &Method, headers: &mut HeaderMap, choice: Choice) -> Option<Known> {
    let gzip = choice.is_gzip();
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // Where a part of the one could be taken for a part of the other there are no parts.
    let mut whole = choice == Choice::GzipOnly || is_ambiguous(headers, gzip);
    if gzip || !reads {
        whole |= replace(headers, header::IF_MATCH).is_some();
    }
    if whole && headers.remove(header::RANGE).is_some() {
        headers.remove(header::IF_RANGE);
    }
    let known = if gzip { replace(headers, header::IF_NONE_MATCH) } else { None };
    known.map(Known)
}

/// Whether `If-Range` is about compressed content, or may be: a date is the same for both.
fn is_ambiguous(headers: &HeaderMap, gzip: bool) -> bool {
    headers.get(header::IF_RANGE).is_some_and(|condition| match EntityTag::parse(condition) {
        Some(tag) => tag.opaque.ends_with(SUFFIX),
        None => gzip,
    })
}

/// Takes the suffix off the tags of a list; the list as it was, if any had it.
fn replace(headers: &mut HeaderMap, name: HeaderName) -> Option<Vec<HeaderValue>> {
    let Some(TagList::Tags(tags)) = TagList::of(headers, &name) else { return None };
    if !tags.iter().any(|tag| tag.opaque.ends_with(SUFFIX)) {
        return None;
    }
    let mut text = Vec::new();
    for tag in tags {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        match tag.opaque.strip_suffix(SUFFIX) {
            // The compressed content may be told apart weakly alone; what it is made of is one version.
            Some(opaque) => EntityTag { weak: false, opaque }.write(&mut text),
            None => tag.write(&mut text),
        }
    }
    let old = headers.get_all(&name).iter().cloned().collect();
    headers.insert(name, HeaderValue::from_bytes(&text).ok()?);
    Some(old)
}

/// Gives the tag of compressed content to a response. It is weak where the same content may be compressed to other bytes
/// the next time.
pub(super) fn encode(headers: &mut HeaderMap, reproducible: bool) {
    let Some(value) = headers.remove(header::ETAG) else { return };
    // What is no tag says nothing of this content.
    let Some(tag) = EntityTag::parse(&value) else { return };
    let opaque = [tag.opaque, SUFFIX].concat();
    let mut text = Vec::new();
    EntityTag { weak: tag.weak || !reproducible, opaque: &opaque }.write(&mut text);
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(header::ETAG, value);
    }
}

impl Known {
    /// Gives a `304` the tag that the client has of this version.
    pub(super) fn answer(&self, headers: &mut HeaderMap) {
        let Some(value) = headers.get(header::ETAG) else { return };
        let (Some(tag), Some(list)) = (EntityTag::parse(value), TagList::parse(&self.0)) else {
            return;
        };
        let TagList::Tags(list) = list else { return };
        if list.iter().any(|one| one.is_weakly(&tag)) {
            return;
        }
        let coded = |one: &&EntityTag<'_>| one.opaque.strip_suffix(SUFFIX) == Some(tag.opaque);
        let mut text = Vec::new();
        if let Some(known) = list.iter().find(coded) {
            known.write(&mut text);
        }
        if let Ok(value) = HeaderValue::from_bytes(&text)
            && !text.is_empty()
        {
            headers.insert(header::ETAG, value);
        }
    }
}
