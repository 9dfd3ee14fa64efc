//! Did-you-mean.

/// Characters of a word that are compared.
const COMPARED: usize = 200;

/// What searches among many candidates may still cost, in characters compared with characters. An app
/// with as many wrong words as candidates would take the square of its size otherwise.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    pub(crate) const fn new(cells: u64) -> Self {
        Self(cells)
    }

    fn spend(&mut self, cells: usize) -> bool {
        let left = self.0.checked_sub(cells as u64);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// The candidate that a word was most likely meant to be, if one is near enough.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    nearest_within(word, candidates, &mut Budget::new(u64::MAX))
}

/// The same, as far as a budget goes.
pub(crate) fn nearest_within<'c>(
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
        // A distance is no smaller than the difference of the lengths.
        if other.abs_diff(length) > allowed {
            continue;
        }
        if !budget.spend(length * other) {
            break;
        }
        let found = (strsim::osa_distance(&word, &fold(candidate)), candidate);
        if found.0 <= allowed && best.is_none_or(|best| found < best) {
            best = Some(found);
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Case and the choice between `_`, `-` and `.` are the commonest slips: they cost nothing.
fn fold(word: &str) -> String {
    word.chars()
        .take(COMPARED)
        .map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() })
        .collect()
}

/// `did you mean `x`?`, or else what there is to choose from.
pub(crate) fn or_list(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of {}", list(candidates)),
    }
}

/// `` `a`, `b`, `c` ``
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    quoted.join(", ")
}
