//! Top-level items of a WIT text: enough of its syntax to tell a fragment from a document.

use super::WrapError;

/// Deepest nesting of brackets: the parser is recursive.
const MAX_NESTING: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemKind {
    Package,
    World,
    Interface,
    Export,
    /// `name: func(…)`
    Function,
    /// Types, uses, imports: a world may contain them unchanged.
    Other,
}

/// Top-level item of a WIT text.
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) name: String,
    pub(super) name_at: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Item {
    pub(super) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Splits `text` into its top-level items by brackets and the first word of each; the parser checks the rest.
pub(super) fn items(text: &str) -> Result<Vec<Item>, WrapError> {
    let mut items = Vec::new();
    let mut open: Option<Item> = None;
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = comment(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        let word = rest.len() - rest.trim_start_matches(is_word).len();
        let width = word.max(c.len_utf8());
        if !c.is_whitespace() && open.is_none() {
            open = Some(Item {
                kind: ItemKind::Other,
                name: String::new(),
                name_at: at,
                start: at,
                end: at,
            });
            words.clear();
        }
        if word > 0 && depth == 0 && words.len() < 2 {
            words.push((at, rest.get(..word).unwrap_or_default()));
        }
        match c {
            '(' | '<' | '{' => depth += 1,
            // The arrow of a result is not a bracket.
            '>' if text.get(..at).is_some_and(|before| before.ends_with('-')) => {}
            ')' | '>' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            let message = format!("its brackets are nested over {MAX_NESTING} deep");
            return Err(WrapError::Wit { message });
        }
        at += width;
        if depth == 0
            && matches!(c, ';' | '}')
            && let Some(item) = open.take()
        {
            // The braces of `use a.{b};` come before its end.
            if c == '}' && words.first().is_some_and(|(_, word)| *word == "use") {
                open = Some(item);
                continue;
            }
            items.push(finished(item, &words, at));
        }
    }
    if let Some(item) = open {
        items.push(finished(item, &words, text.len()));
    }
    Ok(items)
}

fn finished(item: Item, words: &[(usize, &str)], end: usize) -> Item {
    // A gate, as `@since(version = 1.0.0)`, stands before the item's own word.
    let mut words = words.iter();
    let Some((name_at, first)) = words.next() else { return Item { end, ..item } };
    let name = words.next().map_or("", |(_, name)| name).to_owned();
    let kind = match *first {
        "package" => ItemKind::Package,
        "world" => ItemKind::World,
        "interface" => ItemKind::Interface,
        "export" => ItemKind::Export,
        "use" | "import" | "include" | "record" | "variant" | "enum" | "flags" | "type"
        | "resource" => ItemKind::Other,
        _ => ItemKind::Function,
    };
    Item { kind, name, name_at: *name_at, end, ..item }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '%')
}

/// Length of the comment at the start of `rest`, or 0.
fn comment(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if !rest.starts_with("/*") {
        return 0;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
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
