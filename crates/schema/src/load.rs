//! Loads an app: files to drafts, drafts to entries, entries to a linked registry.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace, Value};

use crate::decode::{Cx, Link};
use crate::entry::{self, Draft};
use crate::files::{Files, MAX_INDEX, Texts, plain, strip_bom};
use crate::kinds::{Body, KindName};
use crate::link;
use crate::locate::Origin;
use crate::overrides;
use crate::problems::{Problems, Report, Severity, Sink};
use crate::registry::{App, Entry, Layer, Registry};
use crate::rule::Rule;
use crate::source::{Sources, Span};
use crate::yaml;

/// Loads an app from its index files.
///
/// ```
/// let app = crisol_schema::Loader::new()
///     .file("_index.yaml", "
/// namespace: myns
/// entries:
///   - name: answer
///     kind: function.wat
///     source: (module (func (export \"answer\") (result i32) i32.const 42))
///     method: answer
/// ")
///     .load_files()?;
/// assert!(app.registry.get("myns:answer").is_some());
/// # Ok::<(), crisol_schema::Problems>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Loader {
    default_namespace: Option<Namespace>,
    overrides: Vec<String>,
    files: Texts,
    host_interfaces: Arc<BTreeSet<String>>,
    transports: Vec<Arc<str>>,
    /// True to accept missing and malformed hashes, because they are about to be written.
    pub(crate) pinning: bool,
}

impl Loader {
    /// Creates a loader without a default namespace and without overrides.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the namespace of index files that declare none.
    #[must_use]
    pub fn default_namespace(mut self, namespace: Namespace) -> Self {
        self.default_namespace = Some(namespace);
        self
    }

    /// Overrides one field of one entry: `ns:entry:path=value`, such as
    /// `myns:compute:limits.max_execution_ms=500`. The value is YAML and takes the field's type; an empty
    /// value removes the field. Loading reports a wrong override.
    #[must_use]
    pub fn set(mut self, text: impl Into<String>) -> Self {
        self.overrides.push(text.into());
        self
    }

    /// Adds a file for [`Loader::load_files`]. The path is relative to the app, with `/` between folders.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// Adds an interface that the embedding program implements, such as `acme:app/greeter`. Entries may name
    /// it in `imports`. Case and `@version` are ignored.
    #[must_use]
    pub fn host_interface(mut self, name: &str) -> Self {
        let bare = crate::values::without_version(name);
        Arc::make_mut(&mut self.host_interfaces).insert(bare);
        self
    }

    /// Adds a name for `transport` of entries, beside the built-in ones.
    #[must_use]
    pub fn transport(mut self, name: impl Into<Arc<str>>) -> Self {
        self.transports.push(name.into());
        self
    }

    /// Loads every index file below a folder.
    ///
    /// # Errors
    /// Returns every problem, including warnings, if there is at least one error. An app never loads in part.
    pub fn load(&self, dir: impl AsRef<Path>) -> Result<App, Problems> {
        let dir = dir.as_ref();
        self.run(&Files::open(dir).map_err(|error| not_opened(dir, &error))?)
    }

    /// Loads only the files added with [`Loader::file`].
    ///
    /// # Errors
    /// Returns problems like [`Loader::load`].
    pub fn load_files(&self) -> Result<App, Problems> {
        self.run(&self.given())
    }

    /// Returns the files added with [`Loader::file`].
    pub(crate) fn given(&self) -> Files {
        Files::in_memory(Arc::new(self.files.clone()))
    }

    fn run(&self, files: &Files) -> Result<App, Problems> {
        let layers = std::slice::from_ref(files);
        let loading = self.read(layers);
        let indexes = loading.indexes.iter().map(|(_, path)| path.clone()).collect();
        let mut app = self.finish(loading, &HashSet::new())?;
        let files = Arc::new(app.registry.sources.files_of(0));
        app.registry.layers = vec![Layer { indexes, files, hidden: HashSet::new() }];
        Ok(app)
    }

    /// Reads the index files of a single layer into drafts.
    pub(crate) fn read<'f>(&'f self, layers: &'f [Files]) -> Loading<'f> {
        let (indexes, unread) = layers.first().map(Files::indexes).unwrap_or_default();
        let is_error = |report: &Report| report.severity == Severity::Error;
        let is_empty = indexes.is_empty() && !unread.iter().any(is_error);
        let indexes = indexes.into_iter().map(|path| (0, path));
        let mut loading = Loading::new(layers, &self.transports, indexes);
        if is_empty {
            let report = Report::error(Rule::NO_INDEX, "the app has no index file")
                .help("add an `_index.yaml` with `namespace:` and `entries:`");
            loading.sink.push(None, None, None, report);
        }
        unread.into_iter().for_each(|report| loading.sink.push(None, None, None, report));
        loading.read(self.default_namespace.as_ref());
        if self.pinning {
            loading.drafts.iter_mut().for_each(Draft::blank_hash);
        }
        loading
    }

    /// Turns drafts into an app. Overrides of `gone` entries have no effect.
    pub(crate) fn finish(
        &self,
        mut loading: Loading<'_>,
        gone: &HashSet<EntryId>,
    ) -> Result<App, Problems> {
        self.decode(&mut loading, gone);
        loading.finish()
    }

    /// Turns drafts into entries. Overrides of `gone` entries have no effect.
    pub(crate) fn decode(&self, loading: &mut Loading<'_>, gone: &HashSet<EntryId>) {
        loading.drop_duplicates();
        overrides::apply(
            &self.overrides,
            gone,
            &mut loading.drafts,
            &mut loading.sink,
            &mut loading.sources,
        );
        loading.own_interfaces = Arc::clone(&self.host_interfaces);
        loading.decode();
    }

    pub(crate) fn transports(&self) -> &[Arc<str>] {
        &self.transports
    }

    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        self.default_namespace.as_ref()
    }
}

/// Returns the problem of an app whose folder cannot be opened.
pub(crate) fn not_opened(dir: &Path, error: &std::io::Error) -> Problems {
    let message = format!("cannot open the app `{}`: {}", dir.display(), plain(error));
    let report = Report::error(Rule::IO, message).help("name a folder with an `_index.yaml` in it");
    let mut sink = Sink::default();
    sink.push(None, None, None, report);
    sink.into_problems(&Arc::default())
}

/// State of an app that is being loaded.
pub(crate) struct Loading<'f> {
    /// Files of each layer.
    layers: &'f [Files],
    transports: &'f [Arc<str>],
    sources: Sources,
    pub(crate) sink: Sink,
    /// Index files: layer and path.
    indexes: Vec<(usize, String)>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) links: Vec<Link>,
    /// Interfaces that the embedding program implements.
    own_interfaces: Arc<BTreeSet<String>>,
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    /// True if some ids are not known, because a file has no namespace or cannot be read. A reference to an
    /// unknown entry may name one of them.
    pub(crate) has_unread_ids: bool,
}

impl<'f> Loading<'f> {
    pub(crate) fn new(
        layers: &'f [Files],
        transports: &'f [Arc<str>],
        indexes: impl IntoIterator<Item = (usize, String)>,
    ) -> Self {
        Self {
            layers,
            transports,
            sources: Sources::default(),
            sink: Sink::default(),
            indexes: indexes.into_iter().collect(),
            drafts: Vec::new(),
            links: Vec::new(),
            own_interfaces: Arc::default(),
            entries: BTreeMap::new(),
            has_unread_ids: false,
        }
    }

    /// Returns the layer of a draft.
    pub(crate) fn layer_of(&self, draft: &Draft) -> usize {
        self.indexes.get(draft.file).map_or(0, |(layer, _)| *layer)
    }

    /// Reads every index file into drafts.
    pub(crate) fn read(&mut self, default: Option<&Namespace>) {
        for (file, (layer, path)) in self.indexes.iter().enumerate() {
            let Some(files) = self.layers.get(*layer) else { continue };
            self.sources.turn_to(*layer);
            let bytes = match files.read(path, MAX_INDEX, &self.sources) {
                Ok(bytes) => bytes,
                Err(unread) => {
                    self.has_unread_ids = true;
                    self.sink.push(None, None, None, unread.of_index(path));
                    continue;
                }
            };
            let Some(source) = text(path, bytes, &mut self.sources, &mut self.sink) else {
                self.has_unread_ids = true;
                continue;
            };
            let Some(text) = self.sources.get(source).map(|one| Arc::clone(&one.text)) else {
                continue;
            };
            let mut faults = Vec::new();
            let root = yaml::parse(source, &text, &mut faults);
            faults.into_iter().for_each(|fault| self.sink.file(fault.0, fault.1));
            let Some(root) = root else {
                self.has_unread_ids = true;
                continue;
            };
            let Some(stand_in) = stand_in() else { continue };
            let mut cx = Cx {
                sink: &mut self.sink,
                sources: &mut self.sources,
                files,
                links: &mut self.links,
                own_interfaces: &self.own_interfaces,
                transports: self.transports,
                file: path,
                namespace: stand_in,
                entry: None,
                what: String::new(),
                path: String::new(),
            };
            let (drafts, is_named) = entry::drafts(&root, file, default, &mut cx);
            self.drafts.extend(drafts);
            self.has_unread_ids |= !is_named;
        }
    }

    /// Marks drafts with a duplicate id. Their fields are still checked.
    fn drop_duplicates(&mut self) {
        let mut seen: HashMap<EntryId, Span> = HashMap::new();
        for draft in &mut self.drafts {
            let Some(id) = draft.id.clone() else { continue };
            if let Some(&first) = seen.get(&id) {
                let report = Report::error(Rule::DUPLICATE_ID, format!("`{id}` is there twice"))
                    .also(Some(first), "first here")
                    .help("give one of the two another name");
                self.sink.push(Some(draft.name_span), Some(id), None, report);
                draft.is_second = true;
            } else {
                seen.insert(id, draft.name_span);
            }
        }
    }

    /// Returns the context for decoding the fields of a draft.
    pub(crate) fn reading<'c>(
        &'c mut self,
        draft: &Draft,
        links: &'c mut Vec<Link>,
        sink: &'c mut Sink,
    ) -> Option<Cx<'c>> {
        let (layer, file) = self.indexes.get(draft.file)?;
        let files = self.layers.get(*layer)?;
        self.sources.turn_to(*layer);
        Some(Cx {
            sink,
            sources: &mut self.sources,
            files,
            links,
            own_interfaces: &self.own_interfaces,
            transports: self.transports,
            file,
            namespace: draft.namespace.clone(),
            entry: draft.id.clone(),
            what: draft.kind.map_or_else(String::new, |kind| format!("`{kind}`")),
            path: String::new(),
        })
    }

    /// Decodes the fields of every draft.
    fn decode(&mut self) {
        let drafts = std::mem::take(&mut self.drafts);
        let (mut links, mut sink) =
            (std::mem::take(&mut self.links), std::mem::take(&mut self.sink));
        for draft in &drafts {
            let Some(kind) = draft.kind else { continue };
            sink.turn_to_second(draft.is_second);
            let Some(mut cx) = self.reading(draft, &mut links, &mut sink) else { continue };
            if draft.id.is_none() {
                cx.path = format!("entries[{}]", draft.number);
            }
            let body = Body { fields: &draft.fields, meta: draft.meta.as_deref() };
            let read = (kind.descriptor().read)(&body, &mut cx);
            if let (Some(kind), Some(id), false) = (read, draft.id.clone(), draft.is_second) {
                let meta = draft.meta.as_deref().map_or(Value::Null, entry::value);
                self.entries.insert(id.clone(), Entry { id, kind, meta });
            }
        }
        sink.turn_to_second(false);
        (self.drafts, self.links, self.sink) = (drafts, links, sink);
    }

    /// Links the entries and returns their locations.
    pub(crate) fn link(&mut self) -> HashMap<EntryId, Origin> {
        let firsts = || self.drafts.iter().filter(|draft| !draft.is_second);
        let kinds: HashMap<EntryId, Option<KindName>> =
            firsts().filter_map(|draft| Some((draft.id.clone()?, draft.kind))).collect();
        let origins: HashMap<EntryId, Origin> = std::mem::take(&mut self.drafts)
            .into_iter()
            .filter(|draft| !draft.is_second)
            .filter_map(|draft| Some((draft.id.clone()?, draft.origin())))
            .collect();
        let all = link::All { kinds: &kinds, has_unread_ids: self.has_unread_ids };
        link::link(&mut self.entries, &all, &origins, &self.links, &mut self.sink);
        origins
    }

    /// Returns the registry and the problems.
    pub(crate) fn into_registry(self, origins: HashMap<EntryId, Origin>) -> (Registry, Problems) {
        let sources = Arc::new(self.sources);
        let problems = self.sink.into_problems(&sources);
        let registry = Registry { entries: self.entries, origins, sources, ..Registry::default() };
        (registry, problems)
    }

    /// Links the entries and returns the app, or its problems.
    fn finish(mut self) -> Result<App, Problems> {
        let origins = self.link();
        let (registry, problems) = self.into_registry(origins);
        if problems.errors() > 0 {
            return Err(problems);
        }
        Ok(App { registry, warnings: problems })
    }
}

/// Placeholder namespace for a file without one. Such a file is an error, so no app has this namespace.
fn stand_in() -> Option<Namespace> {
    "_".parse().ok()
}

/// Adds the text of a file to the sources. Reports bytes that are not UTF-8.
fn text(path: &str, bytes: Vec<u8>, sources: &mut Sources, sink: &mut Sink) -> Option<u32> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(sources.add_file(path, strip_bom(&text).into())),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let bom = text.len() - strip_bom(&text).len();
            let at = at.saturating_sub(bom) as u32;
            let source = sources.add(path, strip_bom(&text).into());
            let report = Report::error(Rule::NOT_UTF8, "the file is not UTF-8 from here on")
                .help("save the file as UTF-8");
            sink.file(Span { source, start: at, end: at + 1 }, report);
            None
        }
    }
}
