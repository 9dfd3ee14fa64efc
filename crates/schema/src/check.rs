//! Checks an app with errors: reads as much as possible, so that checks of binaries, folders and scripts
//! report their problems in the same run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, Name};

use crate::entry::EntryDraft;
use crate::field::{EntryField, FieldName};
use crate::files::AppFiles;
use crate::kinds::{EntryBody, KindName};
use crate::load::{LoadState, Loader, unopenable_app};
use crate::locate::EntryOrigin;
use crate::problems::{Diagnostics, Problems};
use crate::registry::{Entry, Registry};
use crate::yaml::{Data, Node, Pair, Scalar, Style};

/// Result of checking an app: every problem, and every entry that can be read nonetheless.
///
/// The registry is for further checks and must not be served: see [`CheckedApp::is_read`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CheckedApp {
    /// Entries that can be read, without fields that are wrong or refer to a missing entry. Entries without
    /// such fields are as [`Loader::load`] returns them.
    pub registry: Registry,
    /// Every problem, including warnings.
    pub problems: Problems,
    unreadable: HashMap<EntryId, BTreeSet<FieldName>>,
    /// Kinds with an incomplete entry; `None` is for entries of an unknown kind.
    incomplete: HashSet<Option<KindName>>,
}

impl CheckedApp {
    /// Returns true if a field of an entry has the value in the file. Otherwise it has its default, or,
    /// without a default (`hash`, `method`), a meaningless placeholder.
    #[must_use]
    pub fn is_read(&self, id: &EntryId, field: &EntryField) -> bool {
        !self.unreadable.get(id).is_some_and(|fields| fields.contains(field.top()))
    }

    /// Returns true if all entries of a kind are complete, so that they can be checked against one another.
    #[must_use]
    pub fn is_complete(&self, kind: KindName) -> bool {
        !self.incomplete.contains(&Some(kind)) && !self.incomplete.contains(&None)
    }
}

impl Loader {
    /// Reads as much as possible of every index file below a folder.
    pub fn check(&self, dir: impl AsRef<Path>) -> CheckedApp {
        let dir = dir.as_ref();
        match AppFiles::open(dir) {
            Ok(files) => self.check_from(&files),
            Err(error) => {
                CheckedApp { problems: unopenable_app(dir, &error), ..CheckedApp::default() }
            }
        }
    }

    /// Reads as much as possible of the files added with [`Loader::file`], and nothing else.
    pub fn check_files(&self) -> CheckedApp {
        self.check_from(&self.memory_files())
    }

    fn check_from(&self, files: &AppFiles) -> CheckedApp {
        self.check_with_drafts(files).0
    }

    /// Reads as much as possible. Also returns the drafts that the entries were read from.
    pub(crate) fn check_with_drafts(&self, files: &AppFiles) -> (CheckedApp, Vec<EntryDraft>) {
        let mut loading = self.read(std::slice::from_ref(files));
        self.decode(&mut loading, &HashSet::new());
        let drafts = loading.drafts.clone();
        let origins = loading.link();
        let mut rest = Recovery::default();
        // A full list drops problems, so the fields with errors are not all known.
        if loading.diagnostics.has_errors() && !loading.diagnostics.is_full() {
            rest.read(&mut loading, &drafts);
        } else if loading.diagnostics.has_errors() {
            loading.entries.clear();
            rest.incomplete.insert(None);
        }
        let Recovery { unreadable, incomplete, aliases, origins: more } = rest;
        let (mut registry, problems) = loading.into_registry(origins);
        registry.origins.extend(more);
        registry.aliases = aliases;
        (CheckedApp { registry, problems, unreadable, incomplete }, drafts)
    }
}

/// Readable rest of an app with errors.
#[derive(Default)]
struct Recovery {
    unreadable: HashMap<EntryId, BTreeSet<FieldName>>,
    incomplete: HashSet<Option<KindName>>,
    /// Placeholder ids of entries with a missing or duplicate id.
    aliases: HashMap<EntryId, Option<EntryId>>,
    origins: HashMap<EntryId, EntryOrigin>,
}

impl Recovery {
    fn read(&mut self, loading: &mut LoadState<'_>, drafts: &[EntryDraft]) {
        if loading.has_unknown_ids {
            self.incomplete.insert(None);
        }
        let named = drafts.iter().filter(|draft| !draft.is_duplicate);
        let by_id: HashMap<&EntryId, &EntryDraft> =
            named.filter_map(|draft| Some((draft.id.as_ref()?, draft))).collect();
        for (id, field) in loading.diagnostics.fields_with_errors() {
            self.exclude(&id, field);
        }
        let wrong: Vec<EntryId> = self.unreadable.keys().cloned().collect();
        for id in &wrong {
            self.read_named(id, &by_id, loading);
        }
        // Removes fields that refer to a missing entry, and repeats this for entries that vanish as a result.
        let mut users: HashMap<EntryId, Vec<(EntryId, FieldName)>> = HashMap::new();
        for link in loading.links.iter().filter(|link| !link.of_duplicate) {
            let user = (link.from.clone(), FieldName::of(&link.field));
            users.entry(link.to.clone()).or_default().push(user);
        }
        let is_gone = |id: &&EntryId| !loading.entries.contains_key(*id);
        let mut gone: Vec<EntryId> = users.keys().filter(is_gone).cloned().collect();
        while let Some(id) = gone.pop() {
            for (user, field) in users.get(&id).into_iter().flatten() {
                let is_there = loading.entries.contains_key(user);
                if self.exclude(user, field.clone())
                    && is_there
                    && !self.read_named(user, &by_id, loading)
                {
                    gone.push(user.clone());
                }
            }
        }
        for (number, draft) in drafts.iter().enumerate() {
            if draft.id.is_none() || draft.is_duplicate {
                self.read_unnamed(draft, number, loading);
            }
        }
    }

    /// Records a field as wrong. Returns false if it was recorded before.
    fn exclude(&mut self, id: &EntryId, field: FieldName) -> bool {
        self.unreadable.entry(id.clone()).or_default().insert(field)
    }

    fn read_named(
        &mut self,
        id: &EntryId,
        drafts: &HashMap<&EntryId, &EntryDraft>,
        loading: &mut LoadState<'_>,
    ) -> bool {
        let Some(draft) = drafts.get(id) else { return false };
        self.incomplete.insert(draft.kind);
        let is_read = self.read_partially(draft, id, loading, false);
        if !is_read {
            loading.entries.remove(id);
        }
        is_read
    }

    /// Reads an entry with a missing or duplicate id under a unique placeholder id.
    fn read_unnamed(&mut self, draft: &EntryDraft, number: usize, loading: &mut LoadState<'_>) {
        self.incomplete.insert(draft.kind);
        let name = format!("entry-{number}-without-a-name").parse::<Name>();
        let Ok(name) = name else { return };
        let id = EntryId::new(&draft.namespace, &name);
        if loading.entries.contains_key(&id) || !self.read_partially(draft, &id, loading, true) {
            return;
        }
        self.origins.insert(id.clone(), draft.clone().origin());
        self.aliases.insert(id, draft.id.clone());
    }

    /// Reads an entry without its wrong fields, if the rest makes a valid entry. Looks up its references if
    /// `linked`.
    fn read_partially(
        &mut self,
        draft: &EntryDraft,
        id: &EntryId,
        loading: &mut LoadState<'_>,
        linked: bool,
    ) -> bool {
        let Some(kind) = draft.kind else { return false };
        let unreadable = self.unreadable.entry(id.clone()).or_default();
        // Wrong fields of an entry without an id are not recorded yet: the first pass finds them, the second
        // leaves them out.
        for _ in 0..2 {
            let (fields, meta) = readable_parts(draft, kind, unreadable);
            let mut links = Vec::new();
            let mut diagnostics = Diagnostics::default();
            let Some(mut cx) = loading.decode_context(draft, &mut links, &mut diagnostics) else {
                return false;
            };
            cx.entry = Some(id.clone());
            let body = EntryBody { fields: &fields, meta: meta.as_deref() };
            let read = (kind.descriptor().read)(&body, &mut cx);
            let dangling =
                links.iter().filter(|link| linked && !loading.entries.contains_key(&link.to));
            let dangling = dangling.map(|link| FieldName::of(&link.field));
            let wrong = diagnostics.fields_with_errors().into_iter().map(|(_, field)| field);
            let wrong: Vec<FieldName> = wrong.chain(dangling).collect();
            let is_whole = wrong.is_empty();
            unreadable.extend(wrong);
            if let (Some(kind), true) = (read, is_whole) {
                let meta = meta.as_deref().map_or(crisol_core::Value::Null, crate::entry::value);
                loading.entries.insert(id.clone(), Entry { id: id.clone(), kind, meta });
                return true;
            }
        }
        false
    }
}

/// Returns the fields and `meta` of a draft without the wrong ones. Missing required fields get placeholders,
/// which are recorded as unreadable.
fn readable_parts(
    draft: &EntryDraft,
    kind: KindName,
    unreadable: &mut BTreeSet<FieldName>,
) -> (Node, Option<Arc<Node>>) {
    let is_read =
        |pair: &&Pair| !unreadable.contains(&FieldName::of(&pair.key)) && !pair.value.is_null();
    let mut pairs: Vec<Pair> = draft.fields.pairs().iter().filter(is_read).cloned().collect();
    for placeholder in kind.descriptor().placeholders {
        let field = placeholder.field();
        if pairs.iter().all(|pair| &*pair.key != field) {
            let scalar = Data::Scalar(Scalar::new(placeholder.text(), Style::Quoted));
            let value = Arc::new(Node::new(draft.head, scalar));
            pairs.push(Pair { key: field.into(), key_span: draft.head, value });
            unreadable.insert(FieldName::of(field));
        }
    }
    let meta = draft.meta.clone().filter(|_| !unreadable.contains("meta"));
    (Node::new(draft.fields.span, Data::Map(pairs)), meta)
}
