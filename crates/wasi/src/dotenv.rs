//! Text of a file of variables: parsed, and edited in place.
//!
//! Lines are `NAME=value`, optionally after `export`; `#` begins a comment at the start of a line and after a space. A
//! plain value is literal, without the spaces around it; `'…'` is literal and may span lines; `"…"` may span lines too
//! and has the escapes `\n`, `\r`, `\t`, `\\`, `\"`, `\$` and `` \` ``. `$NAME` is never expanded: values of the host
//! must not enter this way. Of several lines with one name the last counts.

use std::collections::HashMap;
use std::ops::Range;

use crisol_schema::EnvName;

/// Parsed text.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    lines: Vec<Assignment>,
    /// Replacements of parts of the text, and additions at its end.
    changes: Vec<(Range<usize>, String)>,
}

#[derive(Debug)]
struct Assignment {
    name: EnvName,
    value: String,
    /// From the first character of the name to the last of the value.
    span: Range<usize>,
    /// Span of the whole lines, with the line break.
    lines: Range<usize>,
}

/// Syntax error, with its line from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) problem: &'static str,
}

impl<'t> Document<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.take('\u{feff}');
        let mut lines = Vec::new();
        loop {
            cursor.skip(|c| c.is_ascii_whitespace());
            let start = cursor.at;
            match cursor.peek() {
                None => return Ok(Self { text, lines, changes: Vec::new() }),
                Some('#') => cursor.skip(|c| c != '\n'),
                Some(_) => {
                    let (name, value) = cursor.assignment().map_err(|problem| {
                        let before = text.get(..start).unwrap_or_default();
                        SyntaxError { line: before.matches('\n').count() + 1, problem }
                    })?;
                    let span = start..cursor.at;
                    cursor.skip(|c| c != '\n');
                    cursor.take('\n');
                    let before = text.get(..start).unwrap_or_default();
                    let whole = before.trim_end_matches(is_blank).len()..cursor.at;
                    lines.push(Assignment { name, value, span, lines: whole });
                }
            }
        }
    }

    pub(crate) fn values(self) -> HashMap<EnvName, String> {
        self.lines.into_iter().map(|line| (line.name, line.value)).collect()
    }

    /// Changes the line that counts and removes others of that name; appends one when there is none. A comment after a
    /// changed value stays.
    pub(crate) fn set(&mut self, name: &EnvName, value: Option<&str>) {
        let mut value = value.map(|value| format!("{name}={}", quoted(value)));
        for line in self.lines.iter().rev().filter(|line| line.name == *name) {
            self.changes.push(match value.take() {
                Some(value) => (line.span.clone(), value),
                None => (line.lines.clone(), String::new()),
            });
        }
        if let Some(mut line) = value {
            line.push('\n');
            if !self.text.is_empty() && !self.text.ends_with('\n') {
                line.insert(0, '\n');
            }
            self.changes.push((self.text.len()..self.text.len(), line));
        }
    }

    pub(crate) fn into_text(mut self) -> String {
        self.changes.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut text = self.text.to_owned();
        for (span, new) in self.changes {
            text.replace_range(span, &new);
        }
        text
    }
}

/// Writes a value in the plainest form that reads back unchanged, here and in other readers of such files.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:@%,=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '"' | '\\' | '$' | '`' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let taken = self.peek() == Some(wanted);
        if taken {
            self.at += wanted.len_utf8();
        }
        taken
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(what).len();
    }

    /// Text before the first character that does not match.
    fn run(&mut self, what: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        self.skip(what);
        rest.get(..rest.len() - self.rest().len()).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.skip(is_blank);
    }

    fn assignment(&mut self) -> Result<(EnvName, String), &'static str> {
        let mut name = self.name();
        if name == "export" && self.peek().is_some_and(is_blank) {
            self.blanks();
            name = self.name();
        }
        self.blanks();
        if !self.take('=') {
            return Err("missing `=`: write `NAME=value`");
        }
        let name = name.parse().map_err(|_| "invalid variable name")?;
        Ok((name, self.value()?))
    }

    fn name(&mut self) -> &'t str {
        self.run(|c| c != '=' && !c.is_whitespace())
    }

    fn value(&mut self) -> Result<String, &'static str> {
        let start = self.at;
        self.blanks();
        let value = match self.peek() {
            Some('\'') => self.literal()?,
            Some('"') => self.escaped()?,
            _ => return Ok(self.bare(start)),
        };
        let end = self.at;
        self.blanks();
        match self.peek() {
            None | Some('\n' | '\r') => {}
            Some('#') if self.at > end => {}
            Some(_) => return Err("unexpected text after the closing quote"),
        }
        self.at = end;
        Ok(value)
    }

    /// Reads up to a comment or the end of the line. An empty value ends at its beginning, before any blanks, so a value
    /// put there later stays apart from the comment.
    fn bare(&mut self, begun: usize) -> String {
        let start = self.at;
        let line = self.rest().split(['\n', '\r']).next().unwrap_or_default();
        let comment = line.char_indices().zip(line.chars().skip(1));
        let mut comments = comment.filter(|((_, c), next)| is_blank(*c) && *next == '#');
        let end = match comments.next() {
            _ if line.starts_with('#') => 0,
            Some(((at, _), _)) => at,
            None => line.len(),
        };
        let value = line.get(..end).unwrap_or_default().trim_end();
        self.at = if value.is_empty() { begun } else { start + value.len() };
        value.to_owned()
    }

    fn literal(&mut self) -> Result<String, &'static str> {
        self.next();
        let value = self.run(|c| c != '\'').to_owned();
        if self.take('\'') { Ok(value) } else { Err("unclosed `'`") }
    }

    fn escaped(&mut self) -> Result<String, &'static str> {
        self.next();
        let mut value = String::new();
        loop {
            match self.next() {
                None => return Err("unclosed `\"`"),
                Some('"') => return Ok(value),
                Some('\\') => value.push(match self.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(c @ ('\\' | '"' | '$' | '`')) => c,
                    _ => {
                        return Err("invalid escape: write `\\\\` for a backslash");
                    }
                }),
                Some(c) => value.push(c),
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn check(text: &str, expected: Expect) {
        let shown = match Document::parse(text) {
            Ok(document) => {
                let lines = document.lines.iter();
                lines.map(|line| format!("{}={:?}\n", line.name, line.value)).collect()
            }
            Err(SyntaxError { line, problem }) => format!("line {line}: {problem}"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn values_are_read() {
        check(
            "\u{feff}A=1\r\n\n# comment\n  export B = two words  # not this\nexport=x\nC=a#b\nD=\nE=#\nA=last\nÑ=x=y",
            expect![[r#"
                A="1"
                B="two words"
                export="x"
                C="a#b"
                D=""
                E=""
                A="last"
                Ñ="x=y"
            "#]],
        );
        check(
            "A='it is $HOME \\n # all' # but not this\nB=\"a\\n\\t\\\\\\\"\\$b\"\nC='two\nlines'\nD=\"\" #",
            expect![[r#"
                A="it is $HOME \\n # all"
                B="a\n\t\\\"$b"
                C="two\nlines"
                D=""
            "#]],
        );
    }

    #[test]
    fn variables_of_the_host_are_not_expanded() {
        check(
            "A=$PATH\nB=${PATH}\nC=\"$PATH `id` $(id)\"\nD=~",
            expect![[r#"
            A="$PATH"
            B="${PATH}"
            C="$PATH `id` $(id)"
            D="~"
        "#]],
        );
    }

    #[test]
    fn syntax_error_has_its_line() {
        check("A=1\nB\nC=2", expect!["line 2: missing `=`: write `NAME=value`"]);
        check("A=1\n\n=2", expect!["line 3: invalid variable name"]);
        check("A='two\nlines'\nB='open", expect!["line 3: unclosed `'`"]);
        check("A=\"open\nB=1", expect![[r#"line 1: unclosed `"`"#]]);
        check("A=\"\\x\"", expect![[r#"line 1: invalid escape: write `\\` for a backslash"#]]);
        check("A='x'#y", expect!["line 1: unexpected text after the closing quote"]);
        check("A='x'y", expect!["line 1: unexpected text after the closing quote"]);
        check("export A", expect!["line 1: missing `=`: write `NAME=value`"]);
    }

    fn set(text: &str, name: &str, value: Option<&str>) -> String {
        let mut document = Document::parse(text).unwrap_or_else(|error| panic!("{error:?}"));
        document.set(&name.parse().unwrap_or_else(|_| panic!("{name}")), value);
        document.into_text()
    }

    #[test]
    fn a_value_is_changed_in_its_place() {
        assert_eq!(set("", "A", Some("1")), "A=1\n");
        assert_eq!(set("B=2", "A", Some("1")), "B=2\nA=1\n");
        assert_eq!(set("A=\t # none\n", "A", Some("")), "A=''\t # none\n");
        assert_eq!(set(" A=1 # one\nB=2\n", "A", Some("3")), " A=3 # one\nB=2\n");
        assert_eq!(set("A=1 # old\nB=2\n  A=2 # two", "A", Some("3")), "B=2\n  A=3 # two");
        assert_eq!(set("B=2\n  A=1 # one\n\nC=3", "A", None), "B=2\n\nC=3");
        assert_eq!(set("A='a\nb' # x\nB=2", "A", None), "B=2");
        assert_eq!(set("B=2", "A", None), "B=2");
    }

    proptest! {
        #[test]
        fn written_value_reads_back(
            before in "([A-C]=[a-z]{0,3}( # x)?\n|# [a-z]*\n|\n){0,6}",
            name in "[A-C]",
            value in any::<String>(),
        ) {
            let value = value.replace('\0', "");
            let name: EnvName = name.parse()?;
            let mut expected = Document::parse(&before).map_err(|e| e.problem).unwrap_or_else(|e| panic!("{e}")).values();
            expected.insert(name.clone(), value.clone());
            let text = set(&before, name.as_str(), Some(&value));
            let read = Document::parse(&text).map(Document::values);
            prop_assert_eq!(read, Ok(expected), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-C='\"\\\\ \t\r\n#$xé]{0,40}") {
            if let Ok(document) = Document::parse(&text) {
                let names: Vec<EnvName> = document.lines.iter().map(|l| l.name.clone()).collect();
                let mut rest = document;
                for name in &names {
                    rest.set(name, None);
                }
                rest.changes.sort_by_key(|(span, _)| span.start);
                rest.changes.dedup();
                let rest = rest.into_text();
                prop_assert_eq!(Document::parse(&rest).map(|d| d.values().len()), Ok(0), "{}", rest);
            }
        }

        #[test]
        fn many_values_at_once_read_back(
            values in prop::collection::hash_map("[A-Z_][A-Z0-9_]{0,8}", any::<String>(), 0..8),
        ) {
            let mut text = String::new();
            let mut expected = HashMap::new();
            for (name, value) in values {
                let value = value.replace('\0', "");
                text = set(&text, &name, Some(&value));
                expected.insert(name.parse::<EnvName>()?, value);
            }
            prop_assert_eq!(Document::parse(&text).map(Document::values), Ok(expected), "{}", text);
        }
    }
}
