//! Building blocks of messages.

use std::borrow::Cow;

/// Shortens `text` to at most `most` characters, with `…` in place of the rest.
#[must_use]
pub fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)) {
        Some(shown) => Cow::Owned(format!("{shown}…")),
        None => Cow::Borrowed(text),
    }
}

/// Maximum length of a log line, in bytes. Longer texts are cut, or logged in pieces.
pub const MAX_LINE: usize = 8 * 1024;

/// Escapes the control characters in `text`, except tabs. Otherwise a guest could forge or hide log lines with
/// terminal codes and carriage returns.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    rewritten(text, |c| is_odd(c) && c != '\t', char::escape_unicode)
}

/// A guest's text as one line of bounded length, for logs and terminals.
#[must_use]
pub fn one_line(text: &str) -> String {
    let text = shorten(text, MAX_LINE);
    shorten(&plain(&text), MAX_LINE).into_owned()
}

/// Replaces each control character in `text` by `\u{fffd}`, for names from untrusted sources. Such a name could
/// otherwise start a new line in a message or control the terminal.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    rewritten(text, is_odd, |_| [char::REPLACEMENT_CHARACTER])
}

/// True for characters that control a terminal, break a line, or change the direction of text.
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn rewritten<R: IntoIterator<Item = char>>(
    text: &str,
    is_odd: impl Fn(char) -> bool,
    rewrite: impl Fn(char) -> R,
) -> Cow<'_, str> {
    if !text.contains(&is_odd) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if is_odd(c) {
            written.extend(rewrite(c));
        } else {
            written.push(c);
        }
    }
    Cow::Owned(written)
}

/// Formats an error and its sources on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes {
        let cause = cause.to_string();
        // Some libraries include the source in the message above it.
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
            printable("a\n\tb\u{1b}\u{9b}\u{2028}\u{202e}"),
            "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn control_characters_of_a_line_are_spelled_out() {
        assert_eq!(plain("añ\tb"), "añ\tb");
        assert_eq!(plain("a\u{1b}\u{202e}\u{2066}\r"), "a\\u{1b}\\u{202e}\\u{2066}\\u{d}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(["", "aé", "aé…"].map(|text| shorten(text, 3)), ["", "aé", "aé…"]);
        assert_eq!(shorten("aéio", 3), "aéi…");
    }
}
