//! The entries of an app, all of them valid and linked, and where each stands.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, Value};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::files::Texts;
use crate::kinds::Kind;
use crate::locate::{self, Origin};
use crate::problems::{Finding, Problems, Report};
use crate::source::{Place, Sources, Span};

/// An app that loaded: no errors.
#[derive(Debug)]
#[non_exhaustive]
pub struct App {
    /// Its entries.
    pub registry: Registry,
    /// What is likely not what was meant.
    pub warnings: Problems,
}

/// One entry: what it is called and what it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// `namespace:name`.
    pub id: EntryId,
    /// What it is.
    pub kind: Kind,
    /// The free-form map; [`Value::Null`] when there is none.
    pub meta: Value,
}

/// Texts that entries of an app were read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    /// The index files, in order.
    pub(crate) indexes: Vec<String>,
    /// Every text: the index files and what they name as `file://`.
    pub(crate) files: Arc<Texts>,
    /// Entries of these texts that a later layer replaced or removed.
    pub(crate) hidden: HashSet<EntryId>,
}

/// The entries of an app by id.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    pub(crate) origins: HashMap<EntryId, Origin>,
    pub(crate) sources: Arc<Sources>,
    /// What it was read from.
    pub(crate) layers: Vec<Layer>,
    /// Ids that no file has, and what stands there: of an app with errors only.
    pub(crate) aliases: HashMap<EntryId, Option<EntryId>>,
}

impl Registry {
    /// The entry with an id; a `&str` is fine.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Every entry, in the order of ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The files that it was read from: index files and what they name as `file://`, by their paths from the
    /// app's folder, in order. Texts of changes made in memory are none.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let on_disk = self.layers.first().into_iter();
        on_disk.flat_map(|layer| layer.files.keys().map(String::as_str))
    }

    /// The id that is most like a text, for did-you-mean.
    #[must_use]
    pub fn nearest(&self, id: &str) -> Option<&EntryId> {
        let near = crisol_core::suggest::nearest(id, self.entries.keys().map(EntryId::as_str))?;
        self.entries.get_key_value(near).map(|(id, _)| id)
    }

    /// Where an entry stands: the file, line and column of its name.
    #[must_use]
    pub fn origin(&self, id: &EntryId) -> Option<Place> {
        self.sources.place(self.origins.get(id)?.name)
    }

    /// Where a field of an entry stands, `wasi.mounts[0].guest` say; what is nearest to it when it is
    /// not written.
    #[must_use]
    pub fn place(&self, id: &EntryId, field: &str) -> Option<Place> {
        self.sources.place(self.span_of(id, field)?)
    }

    /// The id that the file gives an entry, if it gives one.
    pub(crate) fn written(&self, id: &EntryId) -> Option<EntryId> {
        self.aliases.get(id).cloned().unwrap_or_else(|| Some(id.clone()))
    }

    pub(crate) fn span_of(&self, id: &EntryId, field: &str) -> Option<Span> {
        let origin = self.origins.get(id)?;
        Some(locate::field(origin, field).map_or(origin.head, |node| node.span))
    }

    pub(crate) fn span_inside(&self, id: &EntryId, field: &str, offset: usize) -> Option<Span> {
        let origin = self.origins.get(id)?;
        let Some(node) = locate::exact(origin, field) else { return Some(origin.head) };
        let file = self.get(id.as_str()).and_then(|entry| entry.kind.content().source_file(field));
        Some(match file {
            Some(file) => self.in_file(origin, file, offset).unwrap_or(node.span),
            None => locate::inside(&self.sources, node, offset),
        })
    }

    fn in_file(&self, origin: &Origin, file: &Path, offset: usize) -> Option<Span> {
        let file = file.to_string_lossy().replace('\\', "/");
        let source = self.sources.beside(origin.head.source, &file)?;
        let at = u32::try_from(offset).ok()?;
        Some(Span { source, start: at, end: at.saturating_add(1) })
    }
}

impl Problems {
    /// Adds a problem at a field of a loaded entry: what other crates find where this one cannot
    /// look, such as a wrong hash. A field that is not written points at what is nearest to it.
    pub fn at(&mut self, registry: &Registry, id: &EntryId, field: &str, report: Report) {
        let span = (!self.is_full()).then(|| registry.span_of(id, field)).flatten();
        let field = (!field.is_empty()).then(|| field.to_owned());
        let finding = Finding::of(registry.written(id), field, span, report);
        self.push(finding, &registry.sources);
    }

    /// Adds a problem inside the text that a field holds or names (`source`, `wit`): `offset` is a
    /// byte offset into the text as the entry has it, and the caret lands there, in the YAML file or
    /// in the file that `file://` names.
    pub fn inside(
        &mut self,
        registry: &Registry,
        id: &EntryId,
        field: &str,
        offset: usize,
        report: Report,
    ) {
        let span = (!self.is_full()).then(|| registry.span_inside(id, field, offset)).flatten();
        let finding = Finding::of(registry.written(id), Some(field.to_owned()), span, report);
        self.push(finding, &registry.sources);
    }
}

impl<'r> IntoIterator for &'r Registry {
    type Item = &'r Entry;
    type IntoIter = std::collections::btree_map::Values<'r, EntryId, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.values()
    }
}

/// The entry as a file writes it, all defaults filled in, references in full.
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
    /// `meta` with the references that linking filled in.
    fn full_meta(&self) -> Value {
        let Some(above) = self.kind.content().above() else { return self.meta.clone() };
        let mut pairs = Vec::new();
        if let Value::Map(own) = &self.meta {
            pairs.clone_from(own);
        }
        let field = Value::from(above.field());
        pairs.retain(|(key, _)| *key != field);
        pairs.push((field, Value::from(above.id().as_str())));
        Value::Map(pairs)
    }
}

/// The entries of one namespace, which serialise as an index file that loads again: all defaults filled
/// in, references in full. A `file://` source stays one, its path taken from the app's folder.
#[derive(Debug)]
pub struct IndexFile<'r> {
    namespace: &'r str,
    entries: Vec<&'r Entry>,
}

impl IndexFile<'_> {
    /// The namespace.
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
    /// The registry as index files, one for each namespace in order.
    #[must_use]
    pub fn index_files(&self) -> Vec<IndexFile<'_>> {
        let mut files: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in self.entries.values() {
            files.entry(entry.id.namespace()).or_default().push(entry);
        }
        files.into_iter().map(|(namespace, entries)| IndexFile { namespace, entries }).collect()
    }
}

/// As the list of [`Registry::index_files`].
impl Serialize for Registry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.index_files())
    }
}
