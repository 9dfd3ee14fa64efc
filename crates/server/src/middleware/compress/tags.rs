//! Entity tags of compressed content. They differ from those of the original content, so that a client or cache
//! never joins parts of the two (RFC 9110 §8.8.3.3).
//!
//! Conditions of a request with such a tag are converted into conditions on the original content, the only one that
//! a route knows.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::accept::Coding;
use crate::etag::{EntityTag, TagList};

/// Suffix of the tags of compressed content. Unlike `-gzip`, no known server uses it.
const SUFFIX: &[u8] = b":gzip";

/// The client's own `If-None-Match`, if it had a tag of compressed content.
pub(super) struct ClientTags(Vec<HeaderValue>);

/// Converts the conditions of a request into conditions on unencoded content.
pub(super) fn decode(
    method: &Method,
    headers: &mut HeaderMap,
    choice: Coding,
) -> Option<ClientTags> {
    let gzip = choice.is_gzip();
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // No ranges if a part of one form could be taken for a part of the other.
    let mut whole = choice == Coding::GzipOnly || is_ambiguous(headers, gzip);
    if gzip || !reads {
        whole |= replace(headers, header::IF_MATCH).is_some();
    }
    if whole && headers.remove(header::RANGE).is_some() {
        headers.remove(header::IF_RANGE);
    }
    let known = if gzip { replace(headers, header::IF_NONE_MATCH) } else { None };
    known.map(ClientTags)
}

/// True if `If-Range` refers to compressed content, or may do so: a date is the same for both.
fn is_ambiguous(headers: &HeaderMap, gzip: bool) -> bool {
    headers.get(header::IF_RANGE).is_some_and(|condition| match EntityTag::parse(condition) {
        Some(tag) => tag.opaque.ends_with(SUFFIX),
        None => gzip,
    })
}

/// Removes the suffix from the tags of a list; returns the original list if any had it.
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
            // The tag of the compressed content may be weak; the original content it refers to is one version.
            Some(opaque) => EntityTag { weak: false, opaque }.write(&mut text),
            None => tag.write(&mut text),
        }
    }
    let old = headers.get_all(&name).iter().cloned().collect();
    headers.insert(name, HeaderValue::from_bytes(&text).ok()?);
    Some(old)
}

/// Sets the tag of compressed content. It is weak if equal content may be compressed to other bytes the next time.
pub(super) fn encode(headers: &mut HeaderMap, reproducible: bool) {
    let Some(value) = headers.remove(header::ETAG) else { return };
    // An invalid tag says nothing about this content.
    let Some(tag) = EntityTag::parse(&value) else { return };
    let opaque = [tag.opaque, SUFFIX].concat();
    let mut text = Vec::new();
    EntityTag { weak: tag.weak || !reproducible, opaque: &opaque }.write(&mut text);
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(header::ETAG, value);
    }
}

impl ClientTags {
    /// Sets the tag of a `304` to the one that the client has for this version.
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
