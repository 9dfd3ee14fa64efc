//! Entries of an app, valid and linked, with their locations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, Value};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::field::EntryField;
use crate::files::Texts;
use crate::kinds::Kind;
use crate::locate::{self, EntryOrigin};
use crate::problems::{Diagnostic, Problems, Report};
use crate::source::{Location, SourceMap, Span};

/// A loaded app without errors.
#[derive(Debug)]
#[non_exhaustive]
pub struct App {
    /// Entries of the app.
    pub registry: Registry,
    /// Warnings: valid but suspicious configuration.
    pub warnings: Problems,
}

/// One entry: its id, its kind with the kind's fields, and `meta`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Id of the entry, `namespace:name`.
    pub id: EntryId,
    /// Kind of the entry, with its fields.
    pub kind: Kind,
    /// Free-form map; [`Value::Null`] if there is none.
    pub meta: Value,
}

/// Texts that entries of an app were read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    /// Paths of the index files, in reading order.
    pub(crate) indexes: Vec<String>,
    /// Every text by path: index files and their `file://` sources.
    pub(crate) files: Arc<Texts>,
    /// Entries of these texts that a later layer replaced or removed.
    pub(crate) hidden: HashSet<EntryId>,
}

/// Entries of an app by id.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    pub(crate) origins: HashMap<EntryId, EntryOrigin>,
    pub(crate) sources: Arc<SourceMap>,
    /// Texts that the registry was read from: the app first, then each change.
    pub(crate) layers: Vec<Layer>,
    /// Placeholder ids, with the id in the file if it has one. Only apps with errors have any.
    pub(crate) aliases: HashMap<EntryId, Option<EntryId>>,
}

impl Registry {
    /// Looks up an entry by id; accepts a `&str`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Iterates over all entries, sorted by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Paths of the files that the registry was read from, relative to the app's folder and sorted: index
    /// files and their `file://` sources. Texts of changes made in memory are not included.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let on_disk = self.layers.first().into_iter();
        on_disk.flat_map(|layer| layer.files.keys().map(String::as_str))
    }

    /// Returns the id nearest to a text, for did-you-mean suggestions.
    #[must_use]
    pub fn nearest(&self, id: &str) -> Option<&EntryId> {
        let near = crisol_core::suggest::nearest(id, self.entries.keys().map(EntryId::as_str))?;
        self.entries.get_key_value(near).map(|(id, _)| id)
    }

    /// Returns the location of an entry: the file, line and column of its name.
    #[must_use]
    pub fn origin(&self, id: &EntryId) -> Option<Location> {
        self.sources.location(self.origins.get(id)?.name)
    }

    /// Returns the location of a field of an entry. A field that is not written has the location of its
    /// nearest written parent.
    #[must_use]
    pub fn location(&self, id: &EntryId, field: &EntryField) -> Option<Location> {
        self.sources.location(self.span_of(id, field)?)
    }

    /// Returns the id of an entry as its file has it; `None` if the file gives it none.
    pub(crate) fn written(&self, id: &EntryId) -> Option<EntryId> {
        self.aliases.get(id).cloned().unwrap_or_else(|| Some(id.clone()))
    }

    pub(crate) fn span_of(&self, id: &EntryId, field: &EntryField) -> Option<Span> {
        let origin = self.origins.get(id)?;
        Some(locate::nearest_node(origin, field).map_or(origin.head, |node| node.span))
    }

    pub(crate) fn span_inside(
        &self,
        id: &EntryId,
        field: &EntryField,
        offset: usize,
    ) -> Option<Span> {
        let origin = self.origins.get(id)?;
        let Some(node) = locate::node(origin, field) else { return Some(origin.head) };
        let file = self.get(id.as_str()).and_then(|entry| entry.kind.content().source_file(field));
        Some(match file {
            Some(file) => self.in_file(origin, file, offset).unwrap_or(node.span),
            None => locate::span_inside(&self.sources, node, offset),
        })
    }

    fn in_file(&self, origin: &EntryOrigin, file: &Path, offset: usize) -> Option<Span> {
        let file = file.to_string_lossy().replace('\\', "/");
        let source = self.sources.beside(origin.head.source, &file)?;
        let at = u32::try_from(offset).ok()?;
        Some(Span { source, start: at, end: at.saturating_add(1) })
    }
}

impl Problems {
    /// Adds a problem at a field of a loaded entry, for checks that other crates make, such as the hash of a
    /// file. A field that is not written has the location of its nearest written parent.
    pub fn at(&mut self, registry: &Registry, id: &EntryId, field: &EntryField, report: Report) {
        let span = (!self.is_full()).then(|| registry.span_of(id, field)).flatten();
        let diagnostic =
            Diagnostic::of(registry.written(id), Some(field.to_string()), span, report);
        self.push(diagnostic, &registry.sources);
    }

    /// Adds a problem inside the text that a field holds or names (`source`, `wit`). `offset` is a byte
    /// offset into the entry's text. The caret is at that byte, in the YAML file or in the `file://` source.
    pub fn inside(
        &mut self,
        registry: &Registry,
        id: &EntryId,
        field: &EntryField,
        offset: usize,
        report: Report,
    ) {
        let span = (!self.is_full()).then(|| registry.span_inside(id, field, offset)).flatten();
        let diagnostic =
            Diagnostic::of(registry.written(id), Some(field.to_string()), span, report);
        self.push(diagnostic, &registry.sources);
    }
}

impl<'r> IntoIterator for &'r Registry {
    type Item = &'r Entry;
    type IntoIter = std::collections::btree_map::Values<'r, EntryId, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.values()
    }
}

/// Serializes the entry as in an index file, with all defaults filled in and full references.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.id.name())?;
        map.serialize_entry("kind", &self.kind.name())?;
        let meta = self.full_meta();
        if meta != Value::Null {
            map.serialize_entry("meta", &meta)?;
        }
        map.serialize_entry("data", &self.kind)?;
        map.end()
    }
}

impl Entry {
    /// Returns `meta` with the references that linking filled in.
    fn full_meta(&self) -> Value {
        let Some(parent) = self.kind.content().parent() else { return self.meta.clone() };
        let mut pairs = Vec::new();
        if let Value::Map(own) = &self.meta {
            pairs.clone_from(own);
        }
        let field = Value::from(parent.meta_key());
        pairs.retain(|(key, _)| *key != field);
        pairs.push((field, Value::from(parent.id().as_str())));
        Value::Map(pairs)
    }
}

/// Entries of one namespace. Serializes as an index file that loads again, with all defaults filled in and
/// full references. A `file://` source keeps its path, relative to the app's folder.
#[derive(Debug)]
pub struct IndexFile<'r> {
    namespace: &'r str,
    entries: Vec<&'r Entry>,
}

impl IndexFile<'_> {
    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace
    }
}

impl Serialize for IndexFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("version", "1.0")?;
        map.serialize_entry("namespace", self.namespace)?;
        map.serialize_entry("entries", &self.entries)?;
        map.end()
    }
}

impl Registry {
    /// Converts the registry to index files, one for each namespace, sorted.
    #[must_use]
    pub fn index_files(&self) -> Vec<IndexFile<'_>> {
        let mut files: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in self.entries.values() {
            files.entry(entry.id.namespace()).or_default().push(entry);
        }
        files.into_iter().map(|(namespace, entries)| IndexFile { namespace, entries }).collect()
    }
}

/// Serializes like the list that [`Registry::index_files`] returns.
impl Serialize for Registry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.index_files())
    }
}
