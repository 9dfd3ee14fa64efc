//! Writing the right `hash:` into an index file, and nothing else of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace};

use crate::files::strip_bom;
use crate::values::Sha256Hash;
use crate::yaml::{self, Data, Node, Pair};

/// Why a hash cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The text cannot be read as an index file.
    #[error("the file is not YAML: {message}")]
    NotYaml {
        /// What the parser says.
        message: String,
    },
    /// The entry is not in the text.
    #[error("there is no entry `{id}` in the file")]
    NoEntry {
        /// The entry.
        id: EntryId,
    },
    /// The entry is written in a way that leaves no place to write to, such as an alias of another.
    #[error("the entry `{id}` is not written out in the file: write its `hash:` by hand")]
    NoPlace {
        /// The entry.
        id: EntryId,
    },
}

/// Writes the hashes of entries into the text of their index file, in place: comments, layout, order and
/// line ends stay as they are. A `hash` that is missing is added after `path`. The text is read once, and
/// once more as it is to be written, for any number of entries.
///
/// `default` is the namespace of a file that names none.
///
/// # Errors
/// When the text is not YAML, or has no such entry, or no place for its hash: then nothing is written.
pub fn pin(
    text: &str,
    hashes: &BTreeMap<EntryId, Sha256Hash>,
    default: Option<&Namespace>,
) -> Result<String, PinError> {
    let Some(first) = hashes.keys().next() else { return Ok(text.to_owned()) };
    let body = strip_bom(text);
    let root = parse(body)?;
    let entries = Entries::of(&root, default);
    let mut edits = Vec::with_capacity(hashes.len());
    for (id, hash) in hashes {
        let entry = entries.find(id).ok_or_else(|| PinError::NoEntry { id: id.clone() })?;
        let edit = edit(body, entry, *hash).filter(|edit| {
            body.is_char_boundary(edit.at.start) && body.is_char_boundary(edit.at.end)
        });
        edits.push((id, edit.ok_or_else(|| PinError::NoPlace { id: id.clone() })?));
    }
    let out = apply(body, edits)?;
    // Only what reads back as meant is handed out.
    let written = parse(&out)?;
    let after = Entries::of(&written, default);
    for (id, hash) in hashes {
        if after.find(id).and_then(current) != Some(*hash) {
            return Err(PinError::NoPlace { id: id.clone() });
        }
    }
    let pinned = hashes.keys().filter_map(|id| entries.find(id)).map(fields);
    if !same(&root, &written, &pinned.map(std::ptr::from_ref).collect()) {
        return Err(PinError::NoPlace { id: first.clone() });
    }
    let bom = &text[..text.len() - body.len()];
    Ok(format!("{bom}{out}"))
}

/// The text with all edits made.
fn apply(text: &str, mut edits: Vec<(&EntryId, Edit)>) -> Result<String, PinError> {
    edits.sort_by_key(|(_, edit)| edit.at.start);
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for (id, edit) in edits {
        let kept = text.get(done..edit.at.start);
        let kept = kept.ok_or_else(|| PinError::NoPlace { id: id.clone() })?;
        out.push_str(kept);
        out.push_str(&edit.text);
        done = edit.at.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Ok(out)
}

fn parse(text: &str) -> Result<Arc<Node>, PinError> {
    let mut faults = Vec::new();
    let root = yaml::parse(0, text, &mut faults);
    match (root, faults.into_iter().next()) {
        (Some(root), None) => Ok(root),
        (_, Some(fault)) => Err(PinError::NotYaml { message: fault.1.message }),
        (None, None) => Err(PinError::NotYaml { message: "it is empty".to_owned() }),
    }
}

fn scalar<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    match &node.get(key)?.data {
        Data::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

fn items(root: &Node) -> &[Arc<Node>] {
    match (&root.data, root.get("entries").map(|node| &node.data)) {
        (Data::List(items), _) | (_, Some(Data::List(items))) => items,
        _ => &[],
    }
}

/// The entries of a file by name, the first of each.
struct Entries<'n> {
    namespace: Option<&'n str>,
    by_name: HashMap<&'n str, &'n Node>,
}

impl<'n> Entries<'n> {
    fn of(root: &'n Node, default: Option<&'n Namespace>) -> Self {
        let mut by_name = HashMap::new();
        for item in items(root) {
            if let Some(name) = scalar(item, "name") {
                by_name.entry(name).or_insert(&**item);
            }
        }
        let namespace = scalar(root, "namespace").or(default.map(Namespace::as_str));
        Self { namespace, by_name }
    }

    fn find(&self, id: &EntryId) -> Option<&'n Node> {
        let here = self.namespace == Some(id.namespace());
        self.by_name.get(id.name()).copied().filter(|_| here)
    }
}

/// The map that holds the kind's fields.
fn fields(entry: &Node) -> &Node {
    match entry.get("data") {
        Some(data) if !data.is_null() => data,
        _ => entry,
    }
}

pub(crate) fn current(entry: &Node) -> Option<Sha256Hash> {
    scalar(fields(entry), "hash")?.parse().ok()
}

/// Whether two texts are the same values but for the hashes of the maps `pinned`.
fn same(a: &Node, b: &Node, pinned: &HashSet<*const Node>) -> bool {
    let here = pinned.contains(&std::ptr::from_ref(a));
    match (&a.data, &b.data) {
        (Data::Scalar(a), Data::Scalar(b)) => a == b,
        (Data::List(a), Data::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, pinned))
        }
        (Data::Map(a), Data::Map(b)) => {
            let kept = |pair: &&Pair| !(here && &*pair.key == "hash");
            let (a, b) = (a.iter().filter(kept), b.iter().filter(kept));
            a.clone().count() == b.clone().count()
                && a.zip(b).all(|(a, b)| a.key == b.key && same(&a.value, &b.value, pinned))
        }
        _ => false,
    }
}

/// A replacement in the text.
struct Edit {
    at: Range<usize>,
    text: String,
}

fn edit(text: &str, entry: &Node, hash: Sha256Hash) -> Option<Edit> {
    let fields = fields(entry);
    let (whole, map) = (entry.span.range(), fields.span.range());
    // An alias' map is another entry's too.
    if map.start < whole.start || map.end > whole.end {
        return None;
    }
    // What `<<` brought along is written elsewhere.
    let own = |pair: &&Pair| map.contains(&(pair.key_span.start as usize));
    let flow = text.get(map.start..)?.starts_with('{');
    let written = fields.pairs().iter().filter(own).find(|pair| &*pair.key == "hash");
    if let Some(pair) = written {
        return replace(text, pair, flow, hash);
    }
    let after = |key: &str| fields.pairs().iter().filter(own).find(|pair| &*pair.key == key);
    let after =
        after("path").or_else(|| after("fs")).or_else(|| fields.pairs().iter().find(own))?;
    if flow { add_flow(text, after, hash) } else { add_line(text, after, hash) }
}

fn replace(text: &str, pair: &Pair, flow: bool, hash: Sha256Hash) -> Option<Edit> {
    let key_end = pair.key_span.end as usize;
    let colon = key_end + text.get(key_end..)?.find(':')? + 1;
    let value = pair.value.span.range();
    let rest = text.get(colon..)?;
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let begin = colon + blank;
    // An alias' node stands elsewhere: its token does not. Neither has an empty value a place.
    let at = if text.get(begin..)?.starts_with(['*', '&', '!']) {
        let token = text.get(begin..)?;
        let end = token.find(|c: char| c.is_whitespace() || ",}".contains(c));
        if !token.starts_with('*') {
            return None;
        }
        begin..begin + end.unwrap_or(token.len())
    } else if value.is_empty() || value.start < colon {
        colon..colon
    } else {
        let raw = text.get(value.clone())?;
        value.start..value.start + raw.trim_end().len()
    };
    let quoted = flow || text.get(at.clone())?.starts_with('"');
    let mut new = if quoted { format!("\"{hash}\"") } else { hash.to_string() };
    if at.start == colon {
        new.insert(0, ' ');
    }
    Some(Edit { at, text: new })
}

/// `"hash": "…"` after a pair of a map in braces.
fn add_flow(text: &str, after: &Pair, hash: Sha256Hash) -> Option<Edit> {
    let end = after.value.span.range().end;
    let key = text.get(after.key_span.range())?;
    let quote = if key.starts_with('"') { "\"" } else { "" };
    let at = if end > after.key_span.end as usize { end } else { return None };
    Some(Edit { at: at..at, text: format!(", {quote}hash{quote}: \"{hash}\"") })
}

/// A line of its own after the line that a pair ends on, indented like it.
fn add_line(text: &str, after: &Pair, hash: Sha256Hash) -> Option<Edit> {
    let key = after.key_span.start as usize;
    let value = text.get(after.value.span.range())?;
    let last = after.value.span.start as usize + value.trim_end().len();
    let last = last.max(after.key_span.end as usize);
    let line_start = text.get(..key)?.rfind('\n').map_or(0, |at| at + 1);
    let column = text.get(line_start..key)?.chars().count();
    let line_end = text.get(last..)?.find('\n').map_or(text.len(), |at| last + at);
    let crlf = text.get(..line_end)?.ends_with('\r');
    let (at, newline) = if crlf { (line_end - 1, "\r\n") } else { (line_end, "\n") };
    Some(Edit { at: at..at, text: format!("{newline}{}hash: {hash}", " ".repeat(column)) })
}
