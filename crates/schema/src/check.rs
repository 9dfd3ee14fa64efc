//! Checks an app with errors: reads as much as possible, so that checks of binaries, folders and scripts
//! report their problems in the same run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, Name};

use crate::entry::Draft;
use crate::field::FieldName;
use crate::files::Files;
use crate::kinds::{Body, KindName};
use crate::load::{Loader, Loading, not_opened};
use crate::locate::Origin;
use crate::problems::{Problems, Sink};
use crate::registry::{Entry, Registry};
use crate::yaml::{Data, Node, Pair, Scalar, Style};

/// Result of checking an app: every problem, and every entry that can be read nonetheless.
///
/// The registry is for further checks and must not be served: see [`Checked::is_read`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Checked {
    /// Entries that can be read, without fields that are wrong or refer to a missing entry. Entries without
    /// such fields are as [`Loader::load`] returns them.
    pub registry: Registry,
    /// Every problem, including warnings.
    pub problems: Problems,
    unread: HashMap<EntryId, BTreeSet<FieldName>>,
    /// Kinds with an incomplete entry; `None` stands for entries of an unknown kind.
    broken: HashSet<Option<KindName>>,
}

impl Checked {
    /// Returns true if a field of an entry has the value in the file. Otherwise it has its default, or,
    /// without a default (`hash`, `method`), a meaningless stand-in.
    #[must_use]
    pub fn is_read(&self, id: &EntryId, field: &str) -> bool {
        !self.unread.get(id).is_some_and(|fields| fields.contains(field))
    }

    /// Returns true if all entries of a kind are complete, so that they can be checked against one another.
    #[must_use]
    pub fn is_whole(&self, kind: KindName) -> bool {
        !self.broken.contains(&Some(kind)) && !self.broken.contains(&None)
    }
}

impl Loader {
    /// Reads as much as possible of every index file below a folder.
    pub fn check(&self, dir: impl AsRef<Path>) -> Checked {
        let dir = dir.as_ref();
        match Files::open(dir) {
            Ok(files) => self.look(&files),
            Err(error) => Checked { problems: not_opened(dir, &error), ..Checked::default() },
        }
    }

    /// Reads as much as possible of the files added with [`Loader::file`], and nothing else.
    pub fn check_files(&self) -> Checked {
        self.look(&self.given())
    }

    fn look(&self, files: &Files) -> Checked {
        self.look_with_drafts(files).0
    }

    /// Reads as much as possible. Also returns the drafts that the entries were read from.
    pub(crate) fn look_with_drafts(&self, files: &Files) -> (Checked, Vec<Draft>) {
        let mut loading = self.read(std::slice::from_ref(files));
        self.decode(&mut loading, &HashSet::new());
        let drafts = loading.drafts.clone();
        let origins = loading.link();
        let mut rest = Rest::default();
        // A full sink drops problems, so the fields with errors are not all known.
        if loading.sink.has_errors() && !loading.sink.is_full() {
            rest.read(&mut loading, &drafts);
        } else if loading.sink.has_errors() {
            loading.entries.clear();
            rest.broken.insert(None);
        }
        let Rest { unread, broken, aliases, origins: more } = rest;
        let (mut registry, problems) = loading.into_registry(origins);
        registry.origins.extend(more);
        registry.aliases = aliases;
        (Checked { registry, problems, unread, broken }, drafts)
    }
}

/// Readable rest of an app with errors.
#[derive(Default)]
struct Rest {
    unread: HashMap<EntryId, BTreeSet<FieldName>>,
    broken: HashSet<Option<KindName>>,
    /// Placeholder ids of entries with a missing or duplicate id.
    aliases: HashMap<EntryId, Option<EntryId>>,
    origins: HashMap<EntryId, Origin>,
}

impl Rest {
    fn read(&mut self, loading: &mut Loading<'_>, drafts: &[Draft]) {
        if loading.has_unread_ids {
            self.broken.insert(None);
        }
        let named = drafts.iter().filter(|draft| !draft.is_second);
        let by_id: HashMap<&EntryId, &Draft> =
            named.filter_map(|draft| Some((draft.id.as_ref()?, draft))).collect();
        for (id, field) in loading.sink.fields_with_errors() {
            self.leave_out(&id, field);
        }
        let wrong: Vec<EntryId> = self.unread.keys().cloned().collect();
        for id in &wrong {
            self.read_named(id, &by_id, loading);
        }
        // Removes fields that refer to a missing entry, and repeats this for entries that vanish as a result.
        let mut users: HashMap<EntryId, Vec<(EntryId, FieldName)>> = HashMap::new();
        for link in loading.links.iter().filter(|link| !link.of_second) {
            let user = (link.from.clone(), FieldName::of(&link.field));
            users.entry(link.to.clone()).or_default().push(user);
        }
        let is_gone = |id: &&EntryId| !loading.entries.contains_key(*id);
        let mut gone: Vec<EntryId> = users.keys().filter(is_gone).cloned().collect();
        while let Some(id) = gone.pop() {
            for (user, field) in users.get(&id).into_iter().flatten() {
                let is_there = loading.entries.contains_key(user);
                if self.leave_out(user, field.clone())
                    && is_there
                    && !self.read_named(user, &by_id, loading)
                {
                    gone.push(user.clone());
                }
            }
        }
        for (number, draft) in drafts.iter().enumerate() {
            if draft.id.is_none() || draft.is_second {
                self.read_unnamed(draft, number, loading);
            }
        }
    }

    /// Records a field as wrong. Returns false if it was recorded before.
    fn leave_out(&mut self, id: &EntryId, field: FieldName) -> bool {
        self.unread.entry(id.clone()).or_default().insert(field)
    }

    fn read_named(
        &mut self,
        id: &EntryId,
        drafts: &HashMap<&EntryId, &Draft>,
        loading: &mut Loading<'_>,
    ) -> bool {
        let Some(draft) = drafts.get(id) else { return false };
        self.broken.insert(draft.kind);
        let is_read = self.read_without(draft, id, loading, false);
        if !is_read {
            loading.entries.remove(id);
        }
        is_read
    }

    /// Reads an entry with a missing or duplicate id under a unique placeholder id.
    fn read_unnamed(&mut self, draft: &Draft, number: usize, loading: &mut Loading<'_>) {
        self.broken.insert(draft.kind);
        let name = format!("entry-{number}-without-a-name").parse::<Name>();
        let Ok(name) = name else { return };
        let id = EntryId::new(&draft.namespace, &name);
        if loading.entries.contains_key(&id) || !self.read_without(draft, &id, loading, true) {
            return;
        }
        self.origins.insert(id.clone(), draft.clone().origin());
        self.aliases.insert(id, draft.id.clone());
    }

    /// Reads an entry without its wrong fields, if the rest makes a valid entry. Looks up its references if
    /// `linked`.
    fn read_without(
        &mut self,
        draft: &Draft,
        id: &EntryId,
        loading: &mut Loading<'_>,
        linked: bool,
    ) -> bool {
        let Some(kind) = draft.kind else { return false };
        let unread = self.unread.entry(id.clone()).or_default();
        // Wrong fields of an entry without an id are not recorded yet: the first pass finds them, the second
        // leaves them out.
        for _ in 0..2 {
            let (fields, meta) = without(draft, kind, unread);
            let mut links = Vec::new();
            let mut sink = Sink::default();
            let Some(mut cx) = loading.reading(draft, &mut links, &mut sink) else { return false };
            cx.entry = Some(id.clone());
            let body = Body { fields: &fields, meta: meta.as_deref() };
            let read = (kind.descriptor().read)(&body, &mut cx);
            let dangling =
                links.iter().filter(|link| linked && !loading.entries.contains_key(&link.to));
            let dangling = dangling.map(|link| FieldName::of(&link.field));
            let wrong = sink.fields_with_errors().into_iter().map(|(_, field)| field);
            let wrong: Vec<FieldName> = wrong.chain(dangling).collect();
            let is_whole = wrong.is_empty();
            unread.extend(wrong);
            if let (Some(kind), true) = (read, is_whole) {
                let meta = meta.as_deref().map_or(crisol_core::Value::Null, crate::entry::value);
                loading.entries.insert(id.clone(), Entry { id: id.clone(), kind, meta });
                return true;
            }
        }
        false
    }
}

/// Returns the fields and `meta` of a draft without the wrong ones. Missing required fields get stand-ins,
/// which are recorded as unread.
fn without(
    draft: &Draft,
    kind: KindName,
    unread: &mut BTreeSet<FieldName>,
) -> (Node, Option<Arc<Node>>) {
    let is_read =
        |pair: &&Pair| !unread.contains(&FieldName::of(&pair.key)) && !pair.value.is_null();
    let mut pairs: Vec<Pair> = draft.fields.pairs().iter().filter(is_read).cloned().collect();
    for stand_in in kind.descriptor().stand_ins {
        let field = stand_in.field();
        if pairs.iter().all(|pair| &*pair.key != field) {
            let scalar = Data::Scalar(Scalar::new(stand_in.text(), Style::Quoted));
            let value = Arc::new(Node::new(draft.head, scalar));
            pairs.push(Pair { key: field.into(), key_span: draft.head, value });
            unread.insert(FieldName::of(field));
        }
    }
    let meta = draft.meta.clone().filter(|_| !unread.contains("meta"));
    (Node::new(draft.fields.span, Data::Map(pairs)), meta)
}
