//! What messages are put together with.

use std::borrow::Cow;

/// As much of `text` as a message shows: `most` characters, and `…` where there are more.
#[must_use]
pub fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)) {
        Some(shown) => Cow::Owned(format!("{shown}…")),
        None => Cow::Borrowed(text),
    }
}

/// Longest line of a log, in bytes; a longer text is cut, or logged in pieces.
pub const MAX_LINE: usize = 8 * 1024;

/// The text with control characters spelled out. Whoever writes terminal codes or carriage returns must not be able to
/// forge or hide lines of a log.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    let odd = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(odd) {
        return text.into();
    }
    let mut spelled = String::with_capacity(text.len());
    for c in text.chars() {
        if odd(c) {
            spelled.extend(c.escape_unicode());
        } else {
            spelled.push(c);
        }
    }
    spelled.into()
}

/// The text with each control character and line break replaced by `\u{fffd}`: for names that somebody untrusted has
/// chosen, which must not begin lines of a message or drive the terminal that shows it.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect())
}

/// An error and its sources on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes {
        let cause = cause.to_string();
        // Some libraries repeat a source in the message above it.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_control_characters_when_it_is_shown() {
        assert_eq!(printable("añ b"), "añ b");
        assert_eq!(
            printable("a\n\tb\u{1b}\u{9b}\u{2028}"),
            "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(["", "aé", "aé…"].map(|text| shorten(text, 3)), ["", "aé", "aé…"]);
        assert_eq!(shorten("aéio", 3), "aéi…");
    }
}
