//! Loads an app: files to drafts, drafts to entries, entries to a linked registry.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, Namespace, Value};

use crate::decode::{DecodeContext, Reference};
use crate::entry::{self, EntryDraft};
use crate::files::{AppFiles, MAX_INDEX, Texts, io_reason, strip_bom};
use crate::kinds::{EntryBody, KindName};
use crate::link;
use crate::locate::EntryOrigin;
use crate::overrides;
use crate::problems::{Diagnostics, Problems, Report};
use crate::registry::{App, Entry, Layer, Registry};
use crate::rule::Rule;
use crate::source::{SourceMap, Span};
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
        self.load_from(&AppFiles::open(dir).map_err(|error| unopenable_app(dir, &error))?)
    }

    /// Loads only the files added with [`Loader::file`].
    ///
    /// # Errors
    /// Returns problems like [`Loader::load`].
    pub fn load_files(&self) -> Result<App, Problems> {
        self.load_from(&self.memory_files())
    }

    /// Returns the files added with [`Loader::file`].
    pub(crate) fn memory_files(&self) -> AppFiles {
        AppFiles::in_memory(Arc::new(self.files.clone()))
    }

    fn load_from(&self, files: &AppFiles) -> Result<App, Problems> {
        let layers = std::slice::from_ref(files);
        let loading = self.read(layers);
        let indexes = loading.indexes.iter().map(|(_, path)| path.clone()).collect();
        let mut app = self.finish(loading, &HashSet::new())?;
        let files = Arc::new(app.registry.sources.files_of(0));
        app.registry.layers = vec![Layer { indexes, files, hidden: HashSet::new() }];
        Ok(app)
    }

    /// Reads the index files of a single layer into drafts.
    pub(crate) fn read<'f>(&'f self, layers: &'f [AppFiles]) -> LoadState<'f> {
        let mut diagnostics = Diagnostics::default();
        let indexes = layers.first().map(|files| files.indexes(&mut diagnostics));
        let indexes = indexes.unwrap_or_default();
        if indexes.is_empty() && !diagnostics.has_errors() {
            let report = Report::error(Rule::NO_INDEX, "the app has no index file")
                .help("add an `_index.yaml` with `namespace:` and `entries:`");
            diagnostics.of_app(report);
        }
        let indexes = indexes.into_iter().map(|path| (0, path));
        let mut loading = LoadState::new(layers, &self.transports, indexes);
        loading.diagnostics = diagnostics;
        loading.read(self.default_namespace.as_ref());
        if self.pinning {
            loading.drafts.iter_mut().for_each(EntryDraft::fill_missing_hash);
        }
        loading
    }

    /// Turns drafts into an app. Overrides of `removed` entries have no effect.
    pub(crate) fn finish(
        &self,
        mut loading: LoadState<'_>,
        removed: &HashSet<EntryId>,
    ) -> Result<App, Problems> {
        self.decode(&mut loading, removed);
        loading.finish()
    }

    /// Turns drafts into entries. Overrides of `removed` entries have no effect.
    pub(crate) fn decode(&self, loading: &mut LoadState<'_>, removed: &HashSet<EntryId>) {
        loading.mark_duplicates();
        overrides::apply(
            &self.overrides,
            removed,
            &mut loading.drafts,
            &mut loading.diagnostics,
            &mut loading.sources,
        );
        loading.host_interfaces = Arc::clone(&self.host_interfaces);
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
pub(crate) fn unopenable_app(dir: &Path, error: &std::io::Error) -> Problems {
    let message = format!("cannot open the app `{}`: {}", dir.display(), io_reason(error));
    let report = Report::error(Rule::IO, message).help("pass a folder that has an `_index.yaml`");
    let mut diagnostics = Diagnostics::default();
    diagnostics.of_app(report);
    diagnostics.into_problems(&Arc::default())
}

/// State of an app that is being loaded.
pub(crate) struct LoadState<'f> {
    /// Files of each layer.
    layers: &'f [AppFiles],
    transports: &'f [Arc<str>],
    sources: SourceMap,
    pub(crate) diagnostics: Diagnostics,
    /// Index files: layer and path.
    indexes: Vec<(usize, String)>,
    pub(crate) drafts: Vec<EntryDraft>,
    pub(crate) links: Vec<Reference>,
    /// Interfaces that the embedding program implements.
    host_interfaces: Arc<BTreeSet<String>>,
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    /// True if some ids are not known, because a file has no namespace or cannot be read. A reference to an
    /// unknown entry may name one of them.
    pub(crate) has_unknown_ids: bool,
}

impl<'f> LoadState<'f> {
    pub(crate) fn new(
        layers: &'f [AppFiles],
        transports: &'f [Arc<str>],
        indexes: impl IntoIterator<Item = (usize, String)>,
    ) -> Self {
        Self {
            layers,
            transports,
            sources: SourceMap::default(),
            diagnostics: Diagnostics::default(),
            indexes: indexes.into_iter().collect(),
            drafts: Vec::new(),
            links: Vec::new(),
            host_interfaces: Arc::default(),
            entries: BTreeMap::new(),
            has_unknown_ids: false,
        }
    }

    /// Returns the layer of a draft.
    pub(crate) fn layer_of(&self, draft: &EntryDraft) -> usize {
        self.indexes.get(draft.file).map_or(0, |(layer, _)| *layer)
    }

    /// Reads every index file into drafts.
    pub(crate) fn read(&mut self, default: Option<&Namespace>) {
        for (file, (layer, path)) in self.indexes.iter().enumerate() {
            let Some(files) = self.layers.get(*layer) else { continue };
            self.sources.set_layer(*layer);
            let bytes = match files.read(path, MAX_INDEX, &self.sources) {
                Ok(bytes) => bytes,
                Err(unread) => {
                    self.has_unknown_ids = true;
                    self.diagnostics.of_app(unread.index_report(path));
                    continue;
                }
            };
            let Some(source) = text(path, bytes, &mut self.sources, &mut self.diagnostics) else {
                self.has_unknown_ids = true;
                continue;
            };
            let Some(text) = self.sources.get(source).map(|one| Arc::clone(&one.text)) else {
                continue;
            };
            let Some(root) = yaml::parse(source, &text, &mut self.diagnostics) else {
                self.has_unknown_ids = true;
                continue;
            };
            let Some(placeholder) = placeholder() else { continue };
            let mut cx = DecodeContext {
                diagnostics: &mut self.diagnostics,
                sources: &mut self.sources,
                files,
                links: &mut self.links,
                host_interfaces: &self.host_interfaces,
                transports: self.transports,
                file: path,
                namespace: placeholder,
                entry: None,
                root_name: String::new(),
                path: String::new(),
            };
            let read = entry::read_drafts(&root, file, default, &mut cx);
            self.drafts.extend(read.drafts);
            self.has_unknown_ids |= read.has_unknown_ids;
        }
    }

    /// Marks drafts with a duplicate id. Their fields are still checked.
    fn mark_duplicates(&mut self) {
        let mut seen: HashMap<EntryId, Span> = HashMap::new();
        for draft in &mut self.drafts {
            let Some(id) = draft.id.clone() else { continue };
            if let Some(&first) = seen.get(&id) {
                let report =
                    Report::error(Rule::DUPLICATE_ID, format!("duplicate entry id `{id}`"))
                        .related(Some(first), "first here")
                        .help("rename one of the two");
                self.diagnostics.push(Some(draft.name_span), Some(id), None, report);
                draft.is_duplicate = true;
            } else {
                seen.insert(id, draft.name_span);
            }
        }
    }

    /// Returns the context for decoding the fields of a draft.
    pub(crate) fn decode_context<'c>(
        &'c mut self,
        draft: &EntryDraft,
        links: &'c mut Vec<Reference>,
        diagnostics: &'c mut Diagnostics,
    ) -> Option<DecodeContext<'c>> {
        let (layer, file) = self.indexes.get(draft.file)?;
        let files = self.layers.get(*layer)?;
        self.sources.set_layer(*layer);
        Some(DecodeContext {
            diagnostics,
            sources: &mut self.sources,
            files,
            links,
            host_interfaces: &self.host_interfaces,
            transports: self.transports,
            file,
            namespace: draft.namespace.clone(),
            entry: draft.id.clone(),
            root_name: draft.kind.map_or_else(String::new, |kind| format!("`{kind}`")),
            path: String::new(),
        })
    }

    /// Decodes the fields of every draft.
    fn decode(&mut self) {
        let drafts = std::mem::take(&mut self.drafts);
        let (mut links, mut diagnostics) =
            (std::mem::take(&mut self.links), std::mem::take(&mut self.diagnostics));
        for draft in &drafts {
            let Some(kind) = draft.kind else { continue };
            diagnostics.set_in_duplicate(draft.is_duplicate);
            let Some(mut cx) = self.decode_context(draft, &mut links, &mut diagnostics) else {
                continue;
            };
            if draft.id.is_none() {
                cx.path = format!("entries[{}]", draft.number);
            }
            let body = EntryBody { fields: &draft.fields, meta: draft.meta.as_deref() };
            let read = (kind.descriptor().read)(&body, &mut cx);
            if let (Some(kind), Some(id), false) = (read, draft.id.clone(), draft.is_duplicate) {
                let meta = draft.meta.as_deref().map_or(Value::Null, entry::value);
                self.entries.insert(id.clone(), Entry { id, kind, meta });
            }
        }
        diagnostics.set_in_duplicate(false);
        (self.drafts, self.links, self.diagnostics) = (drafts, links, diagnostics);
    }

    /// Links the entries and returns their locations.
    pub(crate) fn link(&mut self) -> HashMap<EntryId, EntryOrigin> {
        let firsts = || self.drafts.iter().filter(|draft| !draft.is_duplicate);
        let kinds: HashMap<EntryId, Option<KindName>> =
            firsts().filter_map(|draft| Some((draft.id.clone()?, draft.kind))).collect();
        let origins: HashMap<EntryId, EntryOrigin> = std::mem::take(&mut self.drafts)
            .into_iter()
            .filter(|draft| !draft.is_duplicate)
            .filter_map(|draft| Some((draft.id.clone()?, draft.origin())))
            .collect();
        let all = link::EntryKinds { kinds: &kinds, has_unknown_ids: self.has_unknown_ids };
        link::link(&mut self.entries, &all, &origins, &self.links, &mut self.diagnostics);
        origins
    }

    /// Returns the registry and the problems.
    pub(crate) fn into_registry(
        self,
        origins: HashMap<EntryId, EntryOrigin>,
    ) -> (Registry, Problems) {
        let sources = Arc::new(self.sources);
        let problems = self.diagnostics.into_problems(&sources);
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
fn placeholder() -> Option<Namespace> {
    "_".parse().ok()
}

/// Adds the text of a file to the sources. Reports bytes that are not UTF-8.
fn text(
    path: &str,
    bytes: Vec<u8>,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
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
            diagnostics.at(Span { source, start: at, end: at + 1 }, report);
            None
        }
    }
}
