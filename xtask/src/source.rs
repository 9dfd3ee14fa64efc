//! Rust source seen without its comments and literals, so that a rule about words in code does not
//! stumble over words in prose. A scanner, not a parser.

/// The same text with every comment and every string, byte and character literal blanked out. Line
/// breaks stay where they are, so that line numbers hold.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let previous = code.chars().next_back();
        match literal_or_comment(rest, previous) {
            0 => {
                code.push(char);
                rest = &rest[char.len_utf8()..];
            }
            len => {
                let (blanked, after) = rest.split_at(len);
                code.extend(blanked.chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
                rest = after;
            }
        }
    }
    code
}

/// The numbers, from 1, of the lines of `code` where `word` stands by itself.
pub(crate) fn lines_with<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.lines()
        .enumerate()
        .filter(move |(_, line)| has_word(line, word))
        .map(|(index, _)| index + 1)
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

/// How many bytes at the start of `rest` are a literal or a comment.
fn literal_or_comment(rest: &str, previous: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if let Some(body) = rest.strip_prefix('"') {
        return 1 + quoted(body, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    let in_a_word = previous.is_some_and(is_word);
    if in_a_word { 0 } else { prefixed(rest) }
}

/// A literal with a prefix: `b"…"`, `c"…"`, `b'…'`, `r"…"`, `br#"…"#`.
fn prefixed(rest: &str) -> usize {
    let after = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - after.len();
    if let Some(raw) = after.strip_prefix('r') {
        let inner = raw.trim_start_matches('#');
        let hashes = &raw[..raw.len() - inner.len()];
        return inner.strip_prefix('"').map_or(0, |body| {
            let end = format!("\"{hashes}");
            let len = body.find(&end).map_or(body.len(), |at| at + end.len());
            rest.len() - body.len() + len
        });
    }
    match (prefix, after.chars().next()) {
        (1, Some('"')) => prefix + 1 + quoted(&after[1..], '"'),
        (1, Some('\'')) => prefix + character(after),
        _ => 0,
    }
}

/// The length of a literal's body and its closing quote.
fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in body.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

/// A character literal, and 0 for a lifetime: `'a'` is one, `'a` is none.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => 1 + quoted(&rest[1..], '\''),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{code_only, lines_with};

    fn words(text: &str) -> String {
        code_only(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(
            words(r#"a("b \" c", 'd', '\'', b'e', b"f", 'g: loop {})"#),
            "a( , , , , , 'g: loop {})"
        );
        assert_eq!(
            words("a(r\"b\\\", r##\"c \"# d\"##, br\"e\") r#fn car\"x\""),
            "a( , , ) r#fn car"
        );
        assert_eq!(words("fn f<'a>(x: &'a str, y: 'é')"), "fn f<'a>(x: &'a str, y: )");
        assert_eq!(words("a \"never closed"), "a");
    }

    #[test]
    fn line_numbers_hold() {
        let code = code_only("/*\n\n*/ one\n\"\n\" two\n");
        assert_eq!(lines_with(&code, "one").collect::<Vec<_>>(), [3]);
        assert_eq!(lines_with(&code, "two").collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_word_stands_by_itself() {
        for (line, found) in [
            ("unsafe { }", true),
            ("x(unsafe{})", true),
            ("unsafe_code", false),
            ("not_unsafe", false),
            ("a::Store::new(b)", true),
            ("MemoryStore::new(b)", false),
        ] {
            let hit =
                ["unsafe", "Store::new"].iter().any(|word| lines_with(line, word).next().is_some());
            assert_eq!(hit, found, "{line}");
        }
    }
}
