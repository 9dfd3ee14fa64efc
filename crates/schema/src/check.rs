//! Checking: an app with errors is read as far as it goes, so that those who look further than its texts
//! (into binaries, folders, scripts) find what is wrong there in the same run.

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

/// An app, whatever is wrong with it: all that is, and what can be read nonetheless.
///
/// It is for looking further, never for serving: see [`Checked::is_read`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Checked {
    /// The entries that can be read, each without those of its fields that are wrong or lead to an entry
    /// that is not here. Those that have none such are as [`Loader::load`] has them.
    pub registry: Registry,
    /// All that is wrong, warnings too.
    pub problems: Problems,
    unread: HashMap<EntryId, BTreeSet<FieldName>>,
    /// Kinds of which an entry is not as it is meant; none in the list is one whose kind is not known.
    broken: HashSet<Option<KindName>>,
}

impl Checked {
    /// Whether a field of an entry says what the file says. When it does not, the entry has the default in
    /// its place, and where there is no default (`hash`, `method`) a stand-in that means nothing.
    #[must_use]
    pub fn is_read(&self, id: &EntryId, field: &str) -> bool {
        !self.unread.get(id).is_some_and(|fields| fields.contains(field))
    }

    /// Whether every entry of a kind is as it is meant: what entries are to one another can be looked at.
    #[must_use]
    pub fn is_whole(&self, kind: KindName) -> bool {
        !self.broken.contains(&Some(kind)) && !self.broken.contains(&None)
    }
}

impl Loader {
    /// Reads every index file below a folder, as far as it goes.
    pub fn check(&self, dir: impl AsRef<Path>) -> Checked {
        let dir = dir.as_ref();
        match Files::open(dir) {
            Ok(files) => self.look(&files),
            Err(error) => Checked { problems: not_opened(dir, &error), ..Checked::default() },
        }
    }

    /// Reads the files given with [`Loader::file`], and nothing else, as far as they go.
    pub fn check_files(&self) -> Checked {
        self.look(&self.given())
    }

    fn look(&self, files: &Files) -> Checked {
        self.look_with_drafts(files).0
    }

    /// Reads as far as it goes, and hands out the drafts that the entries were read from.
    pub(crate) fn look_with_drafts(&self, files: &Files) -> (Checked, Vec<Draft>) {
        let mut loading = self.read(std::slice::from_ref(files));
        self.decode(&mut loading, &HashSet::new());
        let drafts = loading.drafts.clone();
        let origins = loading.link();
        let mut rest = Rest::default();
        // With more than is kept of them, nobody knows which fields the others are about.
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

/// What is read of an app with errors.
#[derive(Default)]
struct Rest {
    unread: HashMap<EntryId, BTreeSet<FieldName>>,
    broken: HashSet<Option<KindName>>,
    /// Ids of entries that have none, or another's.
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
        // What leads to an entry that is not there is left out, and so on from entry to entry.
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

    /// Notes that a field is wrong; false when it was noted before.
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

    /// Reads an entry without a name of its own, under one that no other has.
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

    /// Reads an entry without the fields that are wrong, if what is left makes one. Its references are looked up
    /// when that is `linked`.
    fn read_without(
        &mut self,
        draft: &Draft,
        id: &EntryId,
        loading: &mut Loading<'_>,
        linked: bool,
    ) -> bool {
        let Some(kind) = draft.kind else { return false };
        let unread = self.unread.entry(id.clone()).or_default();
        // What is wrong with the fields of an entry without an id is not known by its id: the first reading
        // finds it out, the second is without it.
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

/// The fields and `meta` of a draft that are not wrong, with stand-ins for what code cannot be without: they are
/// noted as unread.
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
