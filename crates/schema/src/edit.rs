//! Edits one field of entries in the text of an index file and leaves the rest as it is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace};

use crate::files::strip_bom;
use crate::obstacle::Obstacle;
use crate::yaml::{self, Data, Node, Pair};

/// Reason a field cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text cannot be read as an index file.
    #[error("the file is not YAML: {message}")]
    NotYaml {
        /// Message of the parser.
        message: String,
    },
    /// The text has no such entry.
    #[error("there is no entry `{id}` in the file")]
    NoEntry {
        /// Id of the entry.
        id: EntryId,
    },
    /// The field is written in a form that cannot be edited.
    #[error("`{field}` of `{id}` is left as it is, since {obstacle}: {help} `{field}: {value}`", help = obstacle.help())]
    NoPlace {
        /// Id of the entry.
        id: EntryId,
        /// Name of the field.
        field: &'static str,
        /// Reason the field cannot be written.
        obstacle: Obstacle,
        /// Value to write by hand.
        value: String,
    },
}

/// A change to one field of an entry.
pub(crate) trait FieldEdit: Clone {
    /// Name of the field.
    const FIELD: &'static str;
    /// Returns the text edits that make the change.
    ///
    /// # Errors
    /// Fails if there is no place for the change.
    fn edits(&self, own: &Own<'_>) -> Result<Vec<Edit>, Obstacle>;
    /// Returns the field's value after the change, for an edit by hand.
    fn value(&self, fields: &Node) -> String;
    /// Returns true if `fields` have the intended change relative to `before`.
    fn is_made(&self, fields: &Node, before: &Node) -> bool;
}

/// Changes one field of entries in the text of their index file, in place: comments, layout, order and line
/// ends stay as they are. The text is parsed twice, however many entries change: before the edits and after
/// them.
///
/// `default` is the namespace of a file that declares none.
///
/// # Errors
/// Fails if the text is not YAML, has no such entry, or has no place for its field. Nothing is written then.
pub(crate) fn edit<E: FieldEdit>(
    text: &str,
    changes: &BTreeMap<EntryId, E>,
    default: Option<&Namespace>,
) -> Result<String, EditError> {
    if changes.is_empty() {
        return Ok(text.to_owned());
    }
    let body = strip_bom(text);
    let root = parse(body)?;
    let file = File { text: body, root: &root, default };
    let out = file.edit(changes)?;
    let bom = &text[..text.len() - body.len()];
    Ok(format!("{bom}{out}"))
}

/// A parsed index file.
struct File<'t> {
    text: &'t str,
    root: &'t Node,
    default: Option<&'t Namespace>,
}

impl File<'_> {
    /// Returns the text with the changes made. Verifies that the result parses to the intended values.
    fn edit<E: FieldEdit>(&self, changes: &BTreeMap<EntryId, E>) -> Result<String, EditError> {
        let Self { text, root, default } = *self;
        let entries = Entries::of(root, default);
        let mut edits = Vec::with_capacity(changes.len());
        for (id, change) in changes {
            let entry = entries.find(id).ok_or_else(|| EditError::NoEntry { id: id.clone() })?;
            let found = Own::of(text, entry, E::FIELD).and_then(|own| change.edits(&own));
            for edit in found.map_err(|obstacle| self.no_place(id, change, obstacle))? {
                let Range { start, end } = edit.at;
                if !text.is_char_boundary(start) || !text.is_char_boundary(end) {
                    return Err(self.no_place(id, change, Obstacle::Unplaced));
                }
                edits.push((id, edit));
            }
        }
        let no_place = |id: &EntryId, obstacle| match changes.get(id) {
            Some(change) => self.no_place(id, change, obstacle),
            None => EditError::NoEntry { id: id.clone() },
        };
        let out = apply(text, edits).map_err(|id| no_place(id, Obstacle::Unplaced))?;
        // The edits may have removed an anchor whose aliases remain.
        let Ok(written) = parse(&out) else { return self.culprit(changes).map_or(Ok(out), Err) };
        let after = Entries::of(&written, default);
        for (id, change) in changes {
            let both = after.find(id).zip(entries.find(id));
            if !both.is_some_and(|(now, before)| change.is_made(fields(now), fields(before))) {
                return Err(no_place(id, Obstacle::Unplaced));
            }
        }
        let changed = changes.keys().filter_map(|id| entries.find(id)).map(fields);
        if same(root, &written, &changed.map(std::ptr::from_ref).collect(), E::FIELD) {
            return Ok(out);
        }
        // `culprit` finds none only if there are no changes.
        self.culprit(changes).map_or(Ok(out), Err)
    }

    /// Returns the error of the first change that affects more than its own entry.
    fn culprit<E: FieldEdit>(&self, changes: &BTreeMap<EntryId, E>) -> Option<EditError> {
        let is_one = |(id, change): &(&EntryId, &E)| {
            let alone = BTreeMap::from([((*id).clone(), (*change).clone())]);
            changes.len() == 1 || self.edit(&alone).is_err()
        };
        // Changes may fail together and work one by one; the first one is reported then.
        let (id, change) = changes.iter().find(is_one).or_else(|| changes.iter().next())?;
        Some(self.no_place(id, change, Obstacle::Shared))
    }

    fn no_place<E: FieldEdit>(&self, id: &EntryId, change: &E, obstacle: Obstacle) -> EditError {
        let entry = Entries::of(self.root, self.default).find(id);
        let value = entry.map(|entry| change.value(fields(entry))).unwrap_or_default();
        EditError::NoPlace { id: id.clone(), field: E::FIELD, obstacle, value }
    }
}

/// Applies all edits. Fails with the entry of an edit that overlaps another.
fn apply<'i>(text: &str, mut edits: Vec<(&'i EntryId, Edit)>) -> Result<String, &'i EntryId> {
    edits.sort_by_key(|(_, edit)| edit.at.start);
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for (id, edit) in edits {
        out.push_str(text.get(done..edit.at.start).ok_or(id)?);
        out.push_str(&edit.text);
        done = edit.at.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Ok(out)
}

fn parse(text: &str) -> Result<Arc<Node>, EditError> {
    let mut faults = Vec::new();
    let root = yaml::parse(0, text, &mut faults);
    match (root, faults.into_iter().next()) {
        (Some(root), None) => Ok(root),
        (_, Some(fault)) => Err(EditError::NotYaml { message: fault.1.message }),
        (None, None) => Err(EditError::NotYaml { message: "it is empty".to_owned() }),
    }
}

pub(crate) fn scalar<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    let Data::Scalar(scalar) = &node.get(key)?.data else { return None };
    Some(&scalar.text)
}

fn items(root: &Node) -> &[Arc<Node>] {
    match (&root.data, root.get("entries").map(|node| &node.data)) {
        (Data::List(items), _) | (_, Some(Data::List(items))) => items,
        _ => &[],
    }
}

/// Entries of a file by name; the first entry of each name.
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

/// Returns the map with the kind's fields.
pub(crate) fn fields(entry: &Node) -> &Node {
    match entry.get("data") {
        Some(data) if !data.is_null() => data,
        _ => entry,
    }
}

/// Returns true if two trees have equal values, ignoring one field of the maps in `changed`.
fn same(a: &Node, b: &Node, changed: &HashSet<*const Node>, field: &str) -> bool {
    let here = changed.contains(&std::ptr::from_ref(a));
    match (&a.data, &b.data) {
        (Data::Scalar(a), Data::Scalar(b)) => a == b,
        (Data::List(a), Data::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, changed, field))
        }
        (Data::Map(a), Data::Map(b)) => {
            let kept = |pair: &&Pair| !(here && &*pair.key == field);
            let (a, b) = (a.iter().filter(kept), b.iter().filter(kept));
            a.clone().count() == b.clone().count()
                && a.zip(b).all(|(a, b)| a.key == b.key && same(&a.value, &b.value, changed, field))
        }
        _ => false,
    }
}

/// A replacement in the text.
pub(crate) struct Edit {
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
}

/// An anchor or tag before a value, or an alias in its place.
pub(crate) struct Token {
    /// First character: `&`, `*` or `!`.
    sigil: char,
    at: Range<usize>,
}

impl Token {
    /// Reads the token at byte `begin`, if there is one.
    pub(crate) fn at(text: &str, begin: usize) -> Option<Self> {
        let token = text.get(begin..)?;
        let sigil = token.chars().next().filter(|first| matches!(first, '&' | '*' | '!'))?;
        let end = token.find(|c: char| c.is_whitespace() || ",}]".contains(c));
        Some(Self { sigil, at: begin..begin + end.unwrap_or(token.len()) })
    }

    /// Returns the obstacle that the token is to an edit.
    pub(crate) fn obstacle(&self, text: &str) -> Obstacle {
        let token = text.get(self.at.clone()).unwrap_or_default().to_owned();
        match self.sigil {
            '&' => Obstacle::Anchor(token),
            '*' => Obstacle::Alias(token),
            _ => Obstacle::Tag(token),
        }
    }
}

/// Fields written at the entry itself, without those of an alias or a merge (`<<`).
pub(crate) struct Own<'n> {
    pub(crate) text: &'n str,
    field: &'static str,
    /// Value of the field, wherever it is written.
    pub(crate) value: Option<&'n Node>,
    pairs: Vec<&'n Pair>,
    /// True if the map is in braces.
    pub(crate) is_flow: bool,
}

impl<'n> Own<'n> {
    fn of(text: &'n str, entry: &'n Node, field: &'static str) -> Result<Self, Obstacle> {
        let fields = fields(entry);
        let (whole, map) = (entry.span.range(), fields.span.range());
        // The map of an alias belongs to another entry too.
        if map.start < whole.start || map.end > whole.end {
            return Err(Obstacle::Fields);
        }
        let own = |pair: &&Pair| map.contains(&(pair.key_span.start as usize));
        let is_flow = text.get(map.start..).ok_or(Obstacle::Unplaced)?.starts_with('{');
        let value = fields.get(field).map(|value| &**value);
        let pairs = fields.pairs().iter().filter(own).collect();
        Ok(Self { text, field, value, pairs, is_flow })
    }

    /// Returns the pair of a field.
    pub(crate) fn pair(&self, key: &str) -> Option<&'n Pair> {
        self.pairs.iter().find(|pair| &*pair.key == key).copied()
    }

    /// Returns the byte range of a pair's value; the end of its colon if the value is empty.
    ///
    /// # Errors
    /// Fails on an anchor or a tag, since other places may depend on it.
    pub(crate) fn place(&self, pair: &Pair) -> Result<Range<usize>, Obstacle> {
        let text = self.text;
        let colon = self.colon(pair).ok_or(Obstacle::Unplaced)?;
        let value = pair.value.span.range();
        let rest = text.get(colon..).ok_or(Obstacle::Unplaced)?;
        let begin = colon + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        // The node of an alias stands elsewhere, so the alias token is the range. An empty value has no
        // range.
        Ok(match Token::at(text, begin) {
            Some(Token { sigil: '*', at }) => at,
            Some(token) => return Err(token.obstacle(text)),
            None if value.is_empty() || value.start < colon => colon..colon,
            None => {
                let raw = text.get(value.clone()).ok_or(Obstacle::Unplaced)?;
                value.start..value.start + raw.trim_end().len()
            }
        })
    }

    /// Returns the end of a pair's colon.
    pub(crate) fn colon(&self, pair: &Pair) -> Option<usize> {
        let key_end = pair.key_span.end as usize;
        Some(key_end + self.text.get(key_end..)?.find(':')? + 1)
    }

    /// Replaces the value of a pair.
    ///
    /// # Errors
    /// Fails like [`Own::place`].
    pub(crate) fn replace(&self, pair: &Pair, mut value: String) -> Result<Edit, Obstacle> {
        let at = self.place(pair)?;
        if Some(at.start) == self.colon(pair) {
            value.insert(0, ' ');
        }
        Ok(Edit { at, text: value })
    }

    /// Adds the field after the first existing field of `after`, or else after the first field.
    ///
    /// # Errors
    /// Fails if the entry has no field of its own.
    pub(crate) fn add(&self, after: &[&str], value: &str) -> Result<Edit, Obstacle> {
        let after = after.iter().find_map(|key| self.pair(key));
        let after = after.or_else(|| self.pairs.first().copied()).ok_or(Obstacle::Fields)?;
        let added =
            if self.is_flow { self.add_flow(after, value) } else { self.add_line(after, value) };
        added.ok_or(Obstacle::Unplaced)
    }

    /// Returns true if keys are quoted, as in JSON.
    pub(crate) fn is_quoted(&self) -> bool {
        let first = self.pairs.first().and_then(|pair| self.text.get(pair.key_span.range()));
        first.is_some_and(|key| key.starts_with('"'))
    }

    /// Adds `"field": value` after a pair of a map in braces.
    fn add_flow(&self, after: &Pair, value: &str) -> Option<Edit> {
        let end = after.value.span.range().end;
        let quote = if self.is_quoted() { "\"" } else { "" };
        let at = if end > after.key_span.end as usize { end } else { return None };
        Some(Edit { at: at..at, text: format!(", {quote}{}{quote}: {value}", self.field) })
    }

    /// Adds a line after the last line of a pair, with the same indentation.
    fn add_line(&self, after: &Pair, value: &str) -> Option<Edit> {
        let text = self.text;
        let key = after.key_span.start as usize;
        let before = text.get(after.value.span.range())?;
        let last = after.value.span.start as usize + before.trim_end().len();
        let last = last.max(after.key_span.end as usize);
        let line_start = text.get(..key)?.rfind('\n').map_or(0, |at| at + 1);
        let column = text.get(line_start..key)?.chars().count();
        let line_end = text.get(last..)?.find('\n').map_or(text.len(), |at| last + at);
        let crlf = text.get(..line_end)?.ends_with('\r');
        let (at, newline) = if crlf { (line_end - 1, "\r\n") } else { (line_end, "\n") };
        let text = format!("{newline}{}{}: {value}", " ".repeat(column), self.field);
        Some(Edit { at: at..at, text })
    }
}
