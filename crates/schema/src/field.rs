//! Names and paths of fields: `wasi.mounts[0].guest` as its steps, `wasi` as the field that it is in.

use std::borrow::Borrow;

/// How deep lists and maps may nest, and so how many steps a path has at most.
pub(crate) const MAX_DEPTH: usize = 64;

/// Name of a field that stands at an entry itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldName(Box<str>);

impl FieldName {
    /// The field that a path begins in.
    pub(crate) fn of(path: &str) -> Self {
        Self(path.split(['.', '[']).next().unwrap_or(path).into())
    }
}

/// So that sets of names are searched by text.
impl Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One step of a path of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Key(&'p str),
    Index(usize),
    /// `[]`: the item after the last, for values that are put somewhere.
    Next,
}

/// The steps of `wasi.mounts[0].guest`; none when the text is no path.
pub(crate) fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || steps.len() >= MAX_DEPTH {
            return None;
        }
        steps.push(Step::Key(key));
        while let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            if steps.len() >= MAX_DEPTH {
                return None;
            }
            steps.push(match index {
                "" => Step::Next,
                index => Step::Index(index.parse().ok()?),
            });
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(steps)
}
