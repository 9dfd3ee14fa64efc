//! Rust source as tokens: without comments, and with literals separate from words of the code.

use anyhow::{Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;

/// Token and its line, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Identifier or keyword, without `r#`.
    Word(String),
    /// One character of punctuation, or one side of a pair of brackets.
    Mark(char),
    /// Literal, as written.
    Literal(String),
}

/// Tokens of a file's text, brackets included.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>> {
    let stream = text.parse::<TokenStream>().map_err(|error| {
        anyhow!("line {}: not tokens of Rust: {error}", error.span().start().line)
    })?;
    Ok(flatten(stream))
}

/// The same tokens in one list, with groups flattened.
pub(crate) fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut list = Vec::new();
    add(stream, &mut list);
    list
}

fn add(stream: TokenStream, list: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ('(', ')'),
                    proc_macro2::Delimiter::Brace => ('{', '}'),
                    proc_macro2::Delimiter::Bracket => ('[', ']'),
                    proc_macro2::Delimiter::None => {
                        add(group.stream(), list);
                        continue;
                    }
                };
                list.push(Token { kind: Kind::Mark(open), line });
                add(group.stream(), list);
                let line = group.span_close().start().line;
                list.push(Token { kind: Kind::Mark(close), line });
            }
            TokenTree::Ident(word) => {
                list.push(Token { kind: Kind::Word(word.unraw().to_string()), line });
            }
            TokenTree::Punct(mark) => {
                list.push(Token { kind: Kind::Mark(mark.as_char()), line });
            }
            TokenTree::Literal(literal) => {
                list.push(Token { kind: Kind::Literal(literal.to_string()), line });
            }
        }
    }
}

/// Lines of `code` with `words`, a few tokens such as `Store::new`.
pub(crate) fn lines_with(code: &[Token], words: &str) -> Result<Vec<usize>> {
    let words = tokens(words)?;
    let same = |window: &[Token]| window.iter().zip(&words).all(|(a, b)| a.kind == b.kind);
    let found = code.windows(words.len()).filter(|window| same(window));
    let mut lines = found.map(|window| window[0].line).collect::<Vec<_>>();
    lines.dedup();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::{lines_with, tokens};

    #[track_caller]
    fn lines(text: &str, words: &str) -> Vec<usize> {
        lines_with(&tokens(text).unwrap(), words).unwrap()
    }

    #[test]
    fn comments_and_literals_have_no_words() {
        let text =
            "a // b\nc /* b /* b */ b */ (\"b \\\" b\", 'b', '\\'', b'b', b\"b\", 'b: loop {})";
        assert_eq!(lines(text, "b"), [2], "only the label");
        assert_eq!(lines("a(r\"b\\\", r##\"b \"# b\"##, br\"b\") b", "b"), [1]);
        assert!(lines("//! b\n/// b\nfn c() {}", "b").is_empty());
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = "/*\n\n*/ one\n\"\n\" two {\n}\n";
        assert_eq!(lines(text, "one"), [3]);
        assert_eq!(lines(text, "two"), [5]);
        assert_eq!(tokens(text).unwrap().last().map(|it| it.line), Some(6));
    }

    #[test]
    fn words_are_whole() {
        for (text, words, found) in [
            ("unsafe { }", "unsafe", true),
            ("x(unsafe{})", "unsafe", true),
            ("unsafe_code", "unsafe", false),
            ("not_unsafe", "unsafe", false),
            ("a::Store::new(b)", "Store::new", true),
            ("a::Store\n    ::new(b)", "Store::new", true),
            ("MemoryStore::new(b)", "Store::new", false),
            ("eprintln!()", "println!", false),
        ] {
            assert_eq!(!lines(text, words).is_empty(), found, "{text}");
        }
    }

    #[test]
    fn invalid_rust_is_refused() {
        assert!(tokens("a \"never closed").is_err());
        assert!(tokens("a )").is_err());
    }
}
