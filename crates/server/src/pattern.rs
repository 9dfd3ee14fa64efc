//! Path patterns: literal segments, `{name}`, `{name...}`.

use std::fmt;

/// A segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Literal text.
    Literal(String),
    /// Any single nonempty segment.
    Param(String),
    /// The rest of the path, possibly empty.
    Rest(String),
}

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Segment>);

/// Error for a text that is not a valid pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The text does not begin with a slash.
    #[error("`{0}` must begin with `/`")]
    NoSlash(String),
    /// A brace does not enclose a whole segment.
    #[error("`{0}`: braces must enclose a whole segment: `{{name}}` or, at the end, `{{name...}}`")]
    Braces(String),
    /// The name in the braces is not valid.
    #[error("`{0}`: invalid parameter name: use letters, digits, `_` and `-`")]
    Name(String),
    /// Two parameters have the same name.
    #[error("duplicate parameter `{0}`")]
    DuplicateParam(String),
    /// A segment follows `{name...}`.
    #[error("`{{{0}...}}` must be the last segment: it matches the rest of the path")]
    RestNotLast(String),
}

impl Pattern {
    /// Parses a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let segments = text.strip_prefix('/').ok_or(PatternError::NoSlash(text.to_owned()))?;
        let segments: Vec<_> = segments.split('/').map(segment).collect::<Result<_, _>>()?;
        for (at, segment) in segments.iter().enumerate() {
            if let Segment::Rest(name) = segment
                && at + 1 != segments.len()
            {
                return Err(PatternError::RestNotLast(name.clone()));
            }
            let earlier = segments.iter().take(at);
            if let Some(name) = segment.name()
                && earlier.into_iter().any(|other| other.name() == Some(name))
            {
                return Err(PatternError::DuplicateParam(name.to_owned()));
            }
        }
        Ok(Self(segments))
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Names of the parameters, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().filter_map(|segment| segment.name().map(str::to_owned)).collect()
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Param(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn segment(text: &str) -> Result<Segment, PatternError> {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        let braces = text.contains(['{', '}']);
        let literal = || Segment::Literal(text.to_owned());
        return if braces { Err(PatternError::Braces(text.to_owned())) } else { Ok(literal()) };
    };
    let (name, rest) = match inner.strip_suffix("...") {
        Some(name) => (name, true),
        None => (inner, false),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(PatternError::Name(text.to_owned()));
    }
    Ok(if rest { Segment::Rest(name.to_owned()) } else { Segment::Param(name.to_owned()) })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param(name) => write!(f, "/{{{name}}}")?,
                Segment::Rest(name) => write!(f, "/{{{name}...}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_back_as_they_were_written() {
        for text in ["/", "/a", "/a/", "/a/{id}", "/a/{id}/b/{rest...}", "/{user-id}"] {
            assert_eq!(Pattern::parse(text).map(|p| p.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn invalid_patterns_are_refused_with_a_reason() {
        let text = |text| Pattern::parse(text).err().map(|error| error.to_string());
        let check = |pattern, why: &str| assert_eq!(text(pattern).as_deref(), Some(why));
        check("a", "`a` must begin with `/`");
        check(
            "/a{id}",
            "`a{id}`: braces must enclose a whole segment: `{name}` or, at the end, `{name...}`",
        );
        check("/{}", "`{}`: invalid parameter name: use letters, digits, `_` and `-`");
        check("/{a}/{a}", "duplicate parameter `a`");
        check("/{a...}/b", "`{a...}` must be the last segment: it matches the rest of the path");
    }
}
