//! Changes to a loaded app.
//!
//! A registry keeps the texts it was read from, in *layers*: the first layer has the files of the app, and
//! each change adds one. A changed app is read again from all of its layers, so the result and its problems
//! are those of a fresh load of the same texts.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, suggest};

use crate::files::{AppFiles, Texts};
use crate::load::{LoadState, Loader, unopenable_app};
use crate::problems::{Problems, Report};
use crate::registry::{App, Layer, Registry};
use crate::rule::Rule;

/// Entries to add, replace and remove. Changes apply as a whole or not at all.
///
/// ```
/// let app = crisol_schema::Loader::new()
///     .file("_index.yaml", "{namespace: n, entries: [{name: a, kind: env.storage.os}]}")
///     .load_files()?;
/// let changes = crisol_schema::Changes::new()
///     .remove("n:a".parse()?)
///     .put("{namespace: n, entries: [{name: b, kind: env.storage.memory}]}");
/// let changed = crisol_schema::Loader::new().change(&app.registry, &changes, None)?;
/// assert!(changed.registry.get("n:b").is_some() && changed.registry.get("n:a").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "changes do nothing until they are applied"]
pub struct Changes {
    pub(crate) indexes: Vec<String>,
    pub(crate) files: Texts,
    pub(crate) removed: Vec<EntryId>,
}

impl Changes {
    /// Creates an empty set of changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the entries of an index file to the app. Each entry replaces the entry with its id, or is new.
    /// Problems of the text are reported in `change.yaml`.
    pub fn put(self, text: impl Into<Arc<str>>) -> Self {
        let name = match self.indexes.len() {
            0 => "change.yaml".to_owned(),
            more => format!("change-{}.yaml", more + 1),
        };
        self.put_as(name, text)
    }

    /// Like [`Changes::put`], with a path relative to the app's folder. Problems name this path, and
    /// `file://` sources are relative to it. The file does not need to exist.
    pub fn put_as(mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        let path = path.into();
        self.files.insert(path.clone(), text.into());
        if !self.indexes.contains(&path) {
            self.indexes.push(path);
        }
        self
    }

    /// Adds a `file://` source for the entries put here. It takes precedence over the file on disk.
    pub fn file(mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// Removes an entry. An entry that the same changes also put is replaced instead.
    pub fn remove(mut self, id: EntryId) -> Self {
        self.removed.push(id);
        self
    }

    /// Returns true if there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty() && self.removed.is_empty()
    }
}

impl Loader {
    /// Applies changes to `registry`: reads its texts again with the changes on top. Sources (`file://`) of
    /// put entries come from the changes, or else from `dir`; sources of all other entries keep the text they
    /// had.
    ///
    /// The loader's namespace and overrides apply. Overrides of removed entries have no effect.
    ///
    /// # Errors
    /// Returns every problem of the changed app, like [`Loader::load`].
    pub fn change(
        &self,
        registry: &Registry,
        changes: &Changes,
        dir: Option<&Path>,
    ) -> Result<App, Problems> {
        let mut layers = registry.layers.clone();
        let mut files: Vec<AppFiles> =
            layers.iter().map(|layer| AppFiles::in_memory(Arc::clone(&layer.files))).collect();
        let (indexes, texts) = (changes.indexes.clone(), Arc::new(changes.files.clone()));
        let own = AppFiles::in_memory(Arc::clone(&texts));
        files.push(match dir {
            Some(dir) => own.with_folder(dir).map_err(|error| unopenable_app(dir, &error))?,
            None => own,
        });
        layers.push(Layer { indexes, files: texts, hidden: HashSet::new() });

        let at = |(at, layer): (usize, &Layer)| {
            layer.indexes.iter().map(move |path| (at, path.clone())).collect::<Vec<_>>()
        };
        let indexes = layers.iter().enumerate().flat_map(at);
        let mut loading = LoadState::new(&files, self.transports(), indexes);
        loading.read(self.namespace());
        let live = hide_replaced(&mut loading, &mut layers, &changes.removed);
        let hidden = layers.iter().flat_map(|layer| layer.hidden.iter().cloned()).collect();
        let mut app = self.finish(loading, &hidden)?;
        // Each layer keeps only the texts that its entries were read from.
        let texts = |at| Arc::new(app.registry.sources.files_of(at));
        let kept = layers.into_iter().enumerate().zip(live).filter(|(_, live)| *live);
        app.registry.layers =
            kept.map(|((at, layer), _)| Layer { files: texts(at), ..layer }).collect();
        Ok(app)
    }
}

/// Drops the drafts that the last layer replaces or removes and records them as hidden. Returns for each
/// layer true if it has entries left.
fn hide_replaced(
    loading: &mut LoadState<'_>,
    layers: &mut [Layer],
    removed: &[EntryId],
) -> Vec<bool> {
    let last = layers.len() - 1;
    let mut drafts = Vec::new();
    let all = std::mem::take(&mut loading.drafts);
    let (own, old): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|draft| loading.layer_of(draft) == last);
    let put: HashSet<EntryId> = own.iter().filter_map(|draft| draft.id.clone()).collect();
    let mut unknown: HashSet<&EntryId> = removed.iter().filter(|id| !put.contains(*id)).collect();
    let taken: HashSet<&EntryId> = put.iter().chain(removed).collect();
    let mut live = vec![false; layers.len()];
    for draft in old {
        let at = loading.layer_of(&draft);
        let (Some(id), Some(layer)) = (&draft.id, layers.get_mut(at)) else { continue };
        if layer.hidden.contains(id) {
            continue;
        }
        if taken.contains(id) {
            unknown.remove(id);
            layer.hidden.insert(id.clone());
            continue;
        }
        live[at] = true;
        drafts.push(draft);
    }
    live[last] = !own.is_empty();
    drafts.extend(own);
    let known = drafts.iter().filter_map(|draft| draft.id.as_ref()).map(EntryId::as_str);
    let known: Vec<&str> = known.collect();
    for id in removed.iter().filter(|id| unknown.contains(id)) {
        let report = Report::error(
            Rule::DANGLING_REFERENCE,
            format!("cannot remove the unknown entry `{id}`"),
        );
        let report = match suggest::nearest(id.as_str(), known.iter().copied()) {
            Some(near) => report.help(format!("did you mean `{near}`?")),
            None => report.help("do not remove it: the app has no such entry"),
        };
        loading.diagnostics.push(None, Some(id.clone()), None, report);
    }
    loading.drafts = drafts;
    live
}
