//! Names and paths of fields: splits `wasi.mounts[0].guest` into steps and finds its top-level field, `wasi`.

use std::borrow::Borrow;

/// Maximum nesting of lists and maps, and so the maximum number of steps in a path.
pub(crate) const MAX_DEPTH: usize = 64;

/// Name of a top-level field of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldName(Box<str>);

impl FieldName {
    /// Returns the top-level field of a path.
    pub(crate) fn of(path: &str) -> Self {
        Self(path.split(['.', '[']).next().unwrap_or(path).into())
    }
}

/// Allows lookups by text in sets of names.
impl Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One step of a field path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Key(&'p str),
    Index(usize),
    /// `[]`: the position after the last item, to append a value.
    Next,
}

/// Splits a path such as `wasi.mounts[0].guest` into steps; `None` for malformed text.
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
