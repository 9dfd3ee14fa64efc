//! Rust source as tokens: without comments, and with literals separate from words of the code.

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

/// Tokens of a stream in one list, with groups flattened and brackets included.
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
