//! Suggestions for unknown names, and spellings that count as the same name.

mod ids;
mod spelling;

pub use ids::{nearest_id, refers_to};
pub use spelling::{kebab, spelling_key};

/// Number of characters of a word that are compared.
const COMPARED: usize = 200;

/// Limit on the cost of searches among many candidates, in compared pairs of characters. Without it, the cost would
/// grow with the square of the number of words.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// Creates a budget of `cells` compared pairs of characters.
    #[must_use]
    pub const fn new(cells: u64) -> Self {
        Self(cells)
    }

    fn spend(&mut self, cells: usize) -> bool {
        let left = self.0.checked_sub(cells as u64);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Finds the candidate most similar to `word`, if one is similar enough.
///
/// ```
/// use crisol_core::suggest::nearest;
///
/// assert_eq!(nearest("myns:compuet", ["myns:compute", "myns:greet"]), Some("myns:compute"));
/// assert_eq!(nearest("other:sleep", ["myns:compute", "myns:greet"]), None);
/// ```
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    nearest_within(word, candidates, &mut Budget::new(u64::MAX))
}

/// Like [`nearest`], within a budget.
pub fn nearest_within<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    budget: &mut Budget,
) -> Option<&'c str> {
    let word = fold(word);
    let length = word.chars().count();
    let allowed = (length / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if !budget.spend(candidate.len().min(COMPARED)) {
            break;
        }
        let other = candidate.chars().take(COMPARED).count();
        // The distance is at least the difference in length.
        if other.abs_diff(length) > allowed {
            continue;
        }
        if !budget.spend(length * other) {
            break;
        }
        let found = (strsim::osa_distance(&word, &fold(candidate)), candidate);
        if found.0 <= allowed && found.0 < length.max(1) && best.is_none_or(|best| found < best) {
            best = Some(found);
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Form of a word for distances: without case and without the choice between `_`, `-` and `.`, so that these most
/// common mistakes cost nothing.
fn fold(word: &str) -> String {
    word.chars()
        .take(COMPARED)
        .map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() })
        .collect()
}

/// Finds the word in a closed list that is most similar to `word`. Words with dots, such as kinds, are compared
/// part by part: `process.host` does not match `process.wasm`.
#[must_use]
pub fn nearest_word<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let parts = |text: &str| text.matches('.').count();
    let near = |word: &str, other: &str| nearest(word, [other]).is_some() || is_short(word, other);
    let (same, others): (Vec<&str>, Vec<&str>) =
        candidates.iter().partition(|other| parts(other) == parts(word));
    let fits = |other: &&str| word.split('.').zip(other.split('.')).all(|(a, b)| near(a, b));
    let same: Vec<&str> = same.into_iter().filter(fits).collect();
    let near = nearest(word, same.iter().chain(&others).copied());
    near.or_else(|| same.first().copied())
}

/// Minimum length of an abbreviation.
const SHORT: usize = 3;

/// True if one word is a prefix of the other: `func` and `function`.
fn is_short(word: &str, other: &str) -> bool {
    let (word, other) = (fold(word), fold(other));
    word.len().min(other.len()) >= SHORT && (word.starts_with(&other) || other.starts_with(&word))
}

/// Advice on an unknown word: ``did you mean `x`?``, or the list of valid words.
#[must_use]
pub fn or_list(word: &str, candidates: &[&str]) -> String {
    match nearest_word(word, candidates) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of {}", list(candidates)),
    }
}

/// Formats words as a list: `` `a`, `b`, `c` ``.
#[must_use]
pub fn list<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::nearest_word;

    #[test]
    fn kinds_are_compared_by_their_parts() {
        let kinds =
            ["function.wat", "function.lua", "process.wasm", "fs.directory", "env.storage.memory"];
        for (word, near) in [
            ("function.vat", Some("function.wat")),
            ("functon.lau", Some("function.lua")),
            ("functionwat", Some("function.wat")),
            ("fs.dir", Some("fs.directory")),
            ("env.storage.mem", Some("env.storage.memory")),
            ("process.host", None),
            ("process.lua", None),
            ("library.lua", None),
            ("store.memory", None),
        ] {
            assert_eq!(nearest_word(word, &kinds), near, "{word}");
        }
    }
}
