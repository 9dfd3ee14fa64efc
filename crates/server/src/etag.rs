//! Entity tags, and lists of them in conditional requests (RFC 9110 §8.8.3, §13.1).

use http::{HeaderMap, HeaderName, HeaderValue};

/// An entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    pub(crate) weak: bool,
    /// The text between the quotes.
    pub(crate) opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Parses a field value that is a single tag.
    pub(crate) fn parse(value: &'a HeaderValue) -> Option<Self> {
        let (tag, rest) = Self::first(value.as_bytes())?;
        rest.is_empty().then_some(tag)
    }

    /// Splits text into the tag at its start and the rest.
    fn first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = inner.split_at_checked(end)?;
        Some((Self { weak, opaque }, rest.get(1..).unwrap_or_default()))
    }

    /// Strong comparison: equal, and neither tag is weak.
    pub(crate) fn is_strongly(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: equal opaque texts.
    pub(crate) fn is_weakly(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Appends the tag to `text`.
    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        if self.weak {
            text.extend_from_slice(b"W/");
        }
        text.push(b'"');
        text.extend_from_slice(self.opaque);
        text.push(b'"');
    }
}

/// Value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TagList<'a> {
    /// `*`: any representation.
    Any,
    /// The well-formed tags of the list; malformed elements match nothing.
    Tags(Vec<EntityTag<'a>>),
}

impl<'a> TagList<'a> {
    /// Parses all lines of a field; `None` if there are none.
    pub(crate) fn of(headers: &'a HeaderMap, name: &HeaderName) -> Option<Self> {
        Self::parse(headers.get_all(name))
    }

    /// Parses the lines of one field; `None` if there are none.
    pub(crate) fn parse(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Option<Self> {
        let mut lines = lines.into_iter().peekable();
        let first = *lines.peek()?;
        let mut tags = Vec::new();
        let mut count = 0;
        for line in lines {
            count += 1;
            collect(line.as_bytes(), &mut tags);
        }
        let any = count == 1 && first.as_bytes() == b"*";
        Some(if any { Self::Any } else { Self::Tags(tags) })
    }

    /// True if `If-Match` holds for a representation, by strong comparison.
    pub(crate) fn holds_strongly(&self, tag: Option<EntityTag<'_>>) -> bool {
        self.holds(tag, EntityTag::is_strongly)
    }

    /// True if the list names a representation, by weak comparison.
    pub(crate) fn holds_weakly(&self, tag: Option<EntityTag<'_>>) -> bool {
        self.holds(tag, EntityTag::is_weakly)
    }

    fn holds(
        &self,
        tag: Option<EntityTag<'_>>,
        same: impl Fn(&EntityTag<'a>, &EntityTag<'_>) -> bool,
    ) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tag.is_some_and(|tag| tags.iter().any(|one| same(one, &tag))),
        }
    }
}

/// Appends the tags of a line. A malformed element is skipped up to the next comma.
fn collect<'a>(mut text: &'a [u8], tags: &mut Vec<EntityTag<'a>>) {
    let between = |byte: u8| matches!(byte, b' ' | b'\t' | b',');
    while let Some(byte) = text.first().copied() {
        if between(byte) {
            text = text.get(1..).unwrap_or_default();
            continue;
        }
        let tag = EntityTag::first(text);
        match tag.filter(|(_, rest)| rest.first().copied().is_none_or(between)) {
            Some((tag, rest)) => {
                tags.push(tag);
                text = rest;
            }
            None => {
                let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
                text = text.get(end..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[&'static str]) -> String {
        let lines: Vec<HeaderValue> = lines.iter().copied().map(HeaderValue::from_static).collect();
        match TagList::parse(&lines) {
            None => "absent".to_owned(),
            Some(TagList::Any) => "any".to_owned(),
            Some(TagList::Tags(tags)) => {
                let mut text = Vec::new();
                for tag in tags {
                    tag.write(&mut text);
                }
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }

    #[test]
    fn tag_lists_are_parsed_past_malformed_parts() {
        for (lines, tags) in [
            (&[][..], "absent"),
            (&["*"], "any"),
            (&[r#""a""#], r#""a""#),
            (&[r#""a,b" , W/"c""#, r#""d""#], r#""a,b"W/"c""d""#),
            (&[r#", ,"a",,"b","#], r#""a""b""#),
            (&[r#"a, "b""#], r#""b""#),
            (&[r#""a" "b""#], r#""a""b""#),
            (&[r#""a"x, "b""#], r#""b""#),
            (&[r#"w/"a""#], ""),
            (&[r#""a"#], ""),
            (&[r#"*, "a""#], r#""a""#),
            (&["*", r#""a""#], r#""a""#),
            (&[""], ""),
        ] {
            assert_eq!(shown(lines), tags, "{lines:?}");
        }
    }

    #[test]
    fn weak_tags_match_weakly_alone() {
        let tag = |weak| EntityTag { weak, opaque: b"a" };
        assert!(tag(false).is_strongly(&tag(false)));
        assert!(!tag(true).is_strongly(&tag(false)) && !tag(true).is_strongly(&tag(true)));
        assert!(tag(true).is_weakly(&tag(false)));
    }
}
