//! Did-you-mean.

/// The candidate that a word was most likely meant to be, if one is near enough.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = fold(word);
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &fold(candidate)), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by(|a, b| a.cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Case and the choice between `_`, `-` and `.` are the commonest slips: they cost nothing.
fn fold(word: &str) -> String {
    word.chars()
        .take(200)
        .map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() })
        .collect()
}

fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > a.len().max(b.len()) / 2 + 1 {
        return usize::MAX;
    }
    strsim::osa_distance(a, b)
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
