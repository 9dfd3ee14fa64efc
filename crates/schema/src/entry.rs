//! Reads index files into drafts of entries: the header of the file and the head of each entry.

use std::sync::Arc;

use crisol_core::{EntryId, Name, Namespace, Value, suggest};

use crate::decode::{
    Decode, DecodeContext, Fields, ScalarText, correct_misspelt, one_of, report_unknown_field, text,
};
use crate::kinds::KindName;
use crate::locate::EntryOrigin;
use crate::problems::Report;
use crate::role::Role;
use crate::rule::Rule;
use crate::source::Span;
use crate::values::Sha256Hash;
use crate::yaml::{Data, Node, Pair, Scalar, ScalarValue, Style, quote};

/// Fields of an index file.
const HEADER: [&str; 3] = ["version", "namespace", "entries"];

/// Head fields of an entry: those that every kind has.
const HEAD: [&str; 4] = ["name", "kind", "meta", "data"];

/// An entry with a decoded head and fields that are not decoded yet.
#[derive(Debug, Clone)]
pub(crate) struct EntryDraft {
    /// Id of the entry. `None` for a wrong name; the fields are still checked.
    pub(crate) id: Option<EntryId>,
    /// True if an earlier entry has this id. Only the fields are checked then.
    pub(crate) is_duplicate: bool,
    /// Kind of the entry. `None` for an unknown kind.
    pub(crate) kind: Option<KindName>,
    pub(crate) namespace: Namespace,
    /// Position of the index file in the list of index files.
    pub(crate) file: usize,
    /// Position in the list of entries: names an entry without an id, `entries[3]`.
    pub(crate) number: usize,
    pub(crate) name_span: Span,
    pub(crate) head: Span,
    pub(crate) fields: Arc<Node>,
    pub(crate) meta: Option<Arc<Node>>,
}

impl EntryDraft {
    /// Returns the location of the entry and its nodes.
    pub(crate) fn origin(self) -> EntryOrigin {
        let Self { head, name_span: name, fields, meta, .. } = self;
        EntryOrigin { head, name, fields, meta }
    }

    /// Returns true if entries of this kind have a `hash`.
    pub(crate) fn has_hash(&self) -> bool {
        self.kind.is_some_and(KindName::has_hash)
    }

    /// Returns true for folders, which hold binaries.
    pub(crate) fn is_folder(&self) -> bool {
        self.kind.is_some_and(|kind| kind.plays(Role::Folder))
    }

    /// Puts [`Sha256Hash::NONE`] in place of a missing or malformed hash.
    pub(crate) fn fill_missing_hash(&mut self) {
        if !self.has_hash() || crate::edit::written_hash(&self.fields).is_some() {
            return;
        }
        let text = Sha256Hash::NONE.to_string();
        let scalar = Data::Scalar(Scalar::new(text, Style::Quoted));
        let value = Arc::new(Node::new(self.head, scalar));
        let mut pairs = self.fields.pairs().to_vec();
        pairs.retain(|pair| &*pair.key != Sha256Hash::NAME);
        pairs.push(Pair { key: Sha256Hash::NAME.into(), key_span: self.head, value });
        self.fields = Arc::new(Node::new(self.fields.span, Data::Map(pairs)));
    }
}

/// Drafts of one index file.
#[derive(Debug, Default)]
pub(crate) struct IndexDrafts {
    pub(crate) drafts: Vec<EntryDraft>,
    /// True if the file has entries with unknown ids, because its namespace or its list cannot be read.
    pub(crate) has_unknown_ids: bool,
}

impl IndexDrafts {
    /// Creates the result for a file whose entries cannot be read.
    fn unreadable() -> Self {
        Self { drafts: Vec::new(), has_unknown_ids: true }
    }
}

/// Reads the header of an index file and the heads of its entries.
pub(crate) fn read_drafts(
    root: &Node,
    file: usize,
    default: Option<&Namespace>,
    cx: &mut DecodeContext<'_>,
) -> IndexDrafts {
    cx.root_name = "an index file".to_owned();
    if root.is_null() {
        let report = Report::error(Rule::MISSING_FIELD, "the file is empty")
            .help("add `entries:` with a list of entries, or remove the file");
        cx.report(root.span, report);
        return IndexDrafts::default();
    }
    let without_own = without_extensions(root);
    let root = without_own.as_ref().unwrap_or(root);
    // A file without a header is a list of entries.
    let bare = matches!(root.data, Data::List(_));
    let right = correct_misspelt(root, &HEADER, &HEADER);
    if let Some((_, misspelt)) = &right {
        report_misspelt(misspelt, cx);
    }
    let root = right.as_ref().map_or(root, |(right, _)| right);
    if !bare && Fields::open(root, &HEADER, cx).is_none() {
        return IndexDrafts::unreadable();
    }
    version(root, cx);
    let (namespace, is_named) = namespace(root, default, cx);
    let entries = if bare { Some(root) } else { root.get("entries").map(|node| &**node) };
    let Some(entries) = entries else {
        let report = Report::error(Rule::MISSING_FIELD, "an index file needs `entries`")
            .help("add `entries:` with a list of entries");
        cx.report(root.span, report);
        return IndexDrafts::unreadable();
    };
    let items = match &entries.data {
        Data::List(items) => items.as_slice(),
        Data::Scalar(scalar) if scalar.is_null() => &[],
        Data::Scalar(_) | Data::Map(_) => {
            cx.within("entries", |cx| cx.wrong_type(entries, "a list", ""));
            return IndexDrafts::unreadable();
        }
    };
    let read = |(number, item): (usize, &Arc<Node>)| {
        cx.within(&format!("entries[{number}]"), |cx| {
            read_draft(item, file, number, &namespace, cx)
        })
    };
    let drafts = items.iter().enumerate().filter_map(read).collect();
    IndexDrafts { drafts, has_unknown_ids: !is_named }
}

/// Returns the file without its extension keys (`x-…`), which only hold anchors; `None` if it has no such
/// key.
fn without_extensions(root: &Node) -> Option<Node> {
    let is_own = |pair: &Pair| pair.key.starts_with("x-");
    root.pairs().iter().any(is_own).then(|| {
        let others = root.pairs().iter().filter(|pair| !is_own(pair)).cloned().collect();
        Node::new(root.span, Data::Map(others))
    })
}

fn version(root: &Node, cx: &mut DecodeContext<'_>) {
    let Some(node) = root.get("version").filter(|node| !node.is_null()) else { return };
    let read = cx.within("version", |cx| ScalarText::decode(node, cx));
    if let Some(ScalarText(found)) = read
        && !matches!(found.as_str(), "1.0" | "1")
    {
        let message = format!("unsupported version {}: only `1.0` is supported", quote(&found));
        let report = Report::error(Rule::VERSION, message).help("write `version: \"1.0\"`");
        cx.within("version", |cx| cx.report(node.span, report));
    }
}

/// Returns the namespace of a file and true if it is right. A missing or wrong namespace is reported and
/// replaced by a default or the namespace in `cx`, so that the entries are still checked.
fn namespace(
    root: &Node,
    default: Option<&Namespace>,
    cx: &mut DecodeContext<'_>,
) -> (Namespace, bool) {
    let written = root.get("namespace").filter(|node| !node.is_null());
    let fallback = default.unwrap_or(&cx.namespace).clone();
    let Some(node) = written else {
        if default.is_none() {
            let report = Report::error(Rule::NO_NAMESPACE, "the file has no `namespace`")
                .help("add `namespace: myns`, or set a default (`--namespace myns`)");
            cx.report(root.span, report);
        }
        return (fallback, default.is_some());
    };
    let read = cx.within("namespace", |cx| {
        let found = text(node, "text", "myns", cx)?;
        let bad = match found.parse::<Namespace>() {
            Ok(namespace) => return Some(namespace),
            Err(bad) => bad,
        };
        let report = Report::error(Rule::BAD_NAME, format!("the namespace {bad}"))
            .help("write a namespace such as `app.users`");
        cx.report(node.span, report);
        None
    });
    let is_right = read.is_some();
    (read.unwrap_or(fallback), is_right)
}

fn read_draft(
    node: &Arc<Node>,
    file: usize,
    number: usize,
    namespace: &Namespace,
    cx: &mut DecodeContext<'_>,
) -> Option<EntryDraft> {
    if !matches!(node.data, Data::Map(_)) {
        cx.wrong_type(node, "a map of fields", "{name: …, kind: …}");
        return None;
    }
    // A misspelt `name` or `kind` is reported once and then read as the intended field.
    let right = correct_misspelt(node, &HEAD, &["name", "kind"]);
    let (node, misspelt) =
        right.as_ref().map_or((&**node, &[][..]), |(right, found)| (right, found));
    let id = name(node, cx).map(|name| EntryId::new(namespace, &name));
    let head = node.span_of("kind");
    // Problems from here on carry the id, if there is one.
    cx.in_entry(id.clone(), |cx| {
        report_misspelt(misspelt, cx);
        Some(EntryDraft {
            kind: kind(node, cx),
            namespace: namespace.clone(),
            file,
            number,
            name_span: node.span_of("name"),
            head,
            fields: Arc::new(fields(node, head, cx)),
            meta: meta(node, cx),
            is_duplicate: false,
            id,
        })
    })
}

/// Reports misspelt keys of the file or entry being read.
fn report_misspelt(misspelt: &[(Pair, &'static str)], cx: &mut DecodeContext<'_>) {
    let what = cx.root_name.clone();
    let what = if cx.path.is_empty() { what } else { "an entry".to_owned() };
    for (pair, meant) in misspelt {
        report_unknown_field(pair, &what, format!("did you mean `{meant}`?"), cx);
    }
}

fn report_missing(node: &Node, field: &str, example: &str, cx: &mut DecodeContext<'_>) {
    let report = Report::error(Rule::MISSING_FIELD, format!("an entry needs `{field}`"))
        .help(format!("add `{field}: {example}`"));
    cx.report(node.span, report);
}

fn name(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Name> {
    let Some(found) = node.get("name").filter(|found| !found.is_null()) else {
        report_missing(node, "name", "my_entry", cx);
        return None;
    };
    cx.within("name", |cx| {
        let written = text(found, "text", "my_entry", cx)?;
        written
            .parse()
            .map_err(|bad| {
                let report = Report::error(Rule::BAD_NAME, format!("the name {bad}"))
                    .help("write a name such as `transform_users`");
                cx.report(found.span, report);
            })
            .ok()
    })
}

fn kind(node: &Node, cx: &mut DecodeContext<'_>) -> Option<KindName> {
    let Some(found) = node.get("kind").filter(|found| !found.is_null()) else {
        report_missing(node, "kind", "function.wasm", cx);
        return None;
    };
    cx.within("kind", |cx| one_of(found, KindName::WORDS, Rule::UNKNOWN_KIND, cx))
}

fn meta(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Arc<Node>> {
    let meta = node.get("meta").filter(|meta| !meta.is_null())?;
    if matches!(meta.data, Data::Map(_)) {
        return Some(Arc::clone(meta));
    }
    cx.within("meta", |cx| cx.wrong_type(meta, "a map", "{title: My entry}"));
    None
}

/// Returns the kind's own fields, from `data` or from beside the head.
fn fields(node: &Node, head: Span, cx: &mut DecodeContext<'_>) -> Node {
    let beside = node.pairs().iter().filter(|pair| !HEAD.contains(&&*pair.key));
    let beside: Vec<Pair> = beside.cloned().collect();
    let Some(data) = node.get("data").filter(|data| !data.is_null()) else {
        return Node::new(head, Data::Map(beside));
    };
    if !matches!(data.data, Data::Map(_)) {
        cx.within("data", |cx| cx.wrong_type(data, "a map of fields", ""));
    }
    for pair in &beside {
        let message = format!("{} is beside `data`", quote(&pair.key));
        let mut help = "move it into `data`".to_owned();
        if let Some(near) = suggest::nearest(&pair.key, HEAD) {
            help = format!("{help}; or did you mean `{near}`?");
        }
        let report = Report::error(Rule::MIXED_DATA, message).help(help);
        cx.within(&pair.key, |cx| cx.report(pair.key_span, report));
    }
    Node::new(head, Data::Map(data.pairs().to_vec()))
}

/// Converts a node to an untyped value, for `meta`.
pub(crate) fn value(node: &Node) -> Value {
    match &node.data {
        Data::List(items) => Value::List(items.iter().map(|item| value(item)).collect()),
        Data::Map(pairs) => {
            let pair = |pair: &Pair| (Value::from(&*pair.key), value(&pair.value));
            Value::Map(pairs.iter().map(pair).collect())
        }
        Data::Scalar(scalar) => match scalar.value() {
            ScalarValue::Null => Value::Null,
            ScalarValue::Bool(bool) => Value::Bool(bool),
            ScalarValue::Int(int) => match (i64::try_from(int), u64::try_from(int)) {
                (Ok(int), _) => Value::Int(int),
                (_, Ok(int)) => Value::UInt(int),
                _ => Value::Float(int as f64),
            },
            ScalarValue::Float(float) => Value::Float(float),
            ScalarValue::Text(text) => Value::from(text),
        },
    }
}
