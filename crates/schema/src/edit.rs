//! Edits one field of entries in the text of an index file and leaves the rest as it is.

mod hash;
mod imports;
mod not_editable;
mod written_fields;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace};

pub use hash::write_hashes;
pub(crate) use hash::written_hash;
pub use imports::{ImportsEdit, write_imports};
pub use not_editable::NotEditable;
use written_fields::{TextEdit, WrittenFields};

use crate::field::EntryField;
use crate::files::strip_bom;
use crate::problems::Diagnostics;
use crate::yaml::{self, Data, Node, Pair};

/// Reason a field cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text cannot be read as an index file.
    #[error("invalid YAML: {message}")]
    NotYaml {
        /// Message of the parser.
        message: String,
    },
    /// The text has no such entry.
    #[error("the file has no entry `{id}`")]
    NoEntry {
        /// Id of the entry.
        id: EntryId,
    },
    /// The field is written in a form that cannot be edited.
    #[error("`{field}` of `{id}` is not changed, since {reason}: {help} `{field}: {value}`", help = reason.help())]
    NotEditable {
        /// Id of the entry.
        id: EntryId,
        /// The field.
        field: EntryField,
        /// Reason the field cannot be written.
        reason: NotEditable,
        /// Value to write by hand.
        value: String,
    },
}

/// A change to one field of an entry.
pub(crate) trait FieldEdit: Clone {
    /// Field to change.
    const FIELD: EntryField;

    /// Returns the text edits that make the change.
    ///
    /// # Errors
    /// Fails if the text has no place for the change.
    fn edits(&self, own: &WrittenFields<'_>) -> Result<Vec<TextEdit>, NotEditable>;
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
    let file = ParsedFile { text: body, root: &root, default };
    let out = file.edit(changes)?;
    let bom = &text[..text.len() - body.len()];
    Ok(format!("{bom}{out}"))
}

/// A parsed index file.
struct ParsedFile<'t> {
    text: &'t str,
    root: &'t Node,
    default: Option<&'t Namespace>,
}

impl ParsedFile<'_> {
    /// Returns the text with the changes made. Verifies that the result parses to the intended values.
    fn edit<E: FieldEdit>(&self, changes: &BTreeMap<EntryId, E>) -> Result<String, EditError> {
        let Self { text, root, default } = *self;
        let entries = EntriesByName::of(root, default);
        let mut edits = Vec::with_capacity(changes.len());
        for (id, change) in changes {
            let entry = entries.find(id).ok_or_else(|| EditError::NoEntry { id: id.clone() })?;
            let found =
                WrittenFields::of(text, entry, E::FIELD.top()).and_then(|own| change.edits(&own));
            for edit in found.map_err(|reason| self.not_editable(id, change, reason))? {
                let Range { start, end } = edit.at;
                if !text.is_char_boundary(start) || !text.is_char_boundary(end) {
                    return Err(self.not_editable(id, change, NotEditable::Unplaced));
                }
                edits.push((id, edit));
            }
        }
        let not_editable = |id: &EntryId, reason| match changes.get(id) {
            Some(change) => self.not_editable(id, change, reason),
            None => EditError::NoEntry { id: id.clone() },
        };
        let out = apply(text, edits).map_err(|id| not_editable(id, NotEditable::Unplaced))?;
        // The edits may have removed an anchor whose aliases remain.
        let Ok(written) = parse(&out) else {
            return self.first_shared(changes).map_or(Ok(out), Err);
        };
        let after = EntriesByName::of(&written, default);
        for (id, change) in changes {
            let both = after.find(id).zip(entries.find(id));
            if !both.is_some_and(|(now, before)| change.is_made(fields(now), fields(before))) {
                return Err(not_editable(id, NotEditable::Unplaced));
            }
        }
        let changed = changes.keys().filter_map(|id| entries.find(id)).map(fields);
        if equal_except(root, &written, &changed.map(std::ptr::from_ref).collect(), E::FIELD.top())
        {
            return Ok(out);
        }
        // `first_shared` finds none only if there are no changes.
        self.first_shared(changes).map_or(Ok(out), Err)
    }

    /// Returns the error of the first change that affects more than its own entry.
    fn first_shared<E: FieldEdit>(&self, changes: &BTreeMap<EntryId, E>) -> Option<EditError> {
        let is_one = |(id, change): &(&EntryId, &E)| {
            let alone = BTreeMap::from([((*id).clone(), (*change).clone())]);
            changes.len() == 1 || self.edit(&alone).is_err()
        };
        // Changes may fail together and work one by one; the first one is reported then.
        let (id, change) = changes.iter().find(is_one).or_else(|| changes.iter().next())?;
        Some(self.not_editable(id, change, NotEditable::Shared))
    }

    fn not_editable<E: FieldEdit>(
        &self,
        id: &EntryId,
        change: &E,
        reason: NotEditable,
    ) -> EditError {
        let entry = EntriesByName::of(self.root, self.default).find(id);
        let value = entry.map(|entry| change.value(fields(entry))).unwrap_or_default();
        EditError::NotEditable { id: id.clone(), field: E::FIELD, reason, value }
    }
}

/// Applies all edits. Fails with the entry of an edit that overlaps another.
fn apply<'i>(text: &str, mut edits: Vec<(&'i EntryId, TextEdit)>) -> Result<String, &'i EntryId> {
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
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(0, text, &mut diagnostics);
    match (root, diagnostics.first()) {
        (Some(root), None) => Ok(root),
        (_, Some(first)) => Err(EditError::NotYaml { message: first.message.clone() }),
        (None, None) => Err(EditError::NotYaml { message: "it is empty".to_owned() }),
    }
}

pub(crate) fn scalar_at<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    let Data::Scalar(scalar) = &node.get(key)?.data else { return None };
    Some(&scalar.text)
}

fn entries_of(root: &Node) -> &[Arc<Node>] {
    match (&root.data, root.get("entries").map(|node| &node.data)) {
        (Data::List(items), _) | (_, Some(Data::List(items))) => items,
        _ => &[],
    }
}

/// Entries of a file by name; the first entry of each name.
struct EntriesByName<'n> {
    namespace: Option<&'n str>,
    by_name: HashMap<&'n str, &'n Node>,
}

impl<'n> EntriesByName<'n> {
    fn of(root: &'n Node, default: Option<&'n Namespace>) -> Self {
        let mut by_name = HashMap::new();
        for item in entries_of(root) {
            if let Some(name) = scalar_at(item, "name") {
                by_name.entry(name).or_insert(&**item);
            }
        }
        let namespace = scalar_at(root, "namespace").or(default.map(Namespace::as_str));
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
fn equal_except(a: &Node, b: &Node, changed: &HashSet<*const Node>, field: &str) -> bool {
    let here = changed.contains(&std::ptr::from_ref(a));
    match (&a.data, &b.data) {
        (Data::Scalar(a), Data::Scalar(b)) => a == b,
        (Data::List(a), Data::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_except(a, b, changed, field))
        }
        (Data::Map(a), Data::Map(b)) => {
            let kept = |pair: &&Pair| !(here && &*pair.key == field);
            let (a, b) = (a.iter().filter(kept), b.iter().filter(kept));
            a.clone().count() == b.clone().count()
                && a.zip(b).all(|(a, b)| {
                    a.key == b.key && equal_except(&a.value, &b.value, changed, field)
                })
        }
        _ => false,
    }
}
