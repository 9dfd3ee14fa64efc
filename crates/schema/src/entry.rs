//! From index files to drafts of entries: the header of a file, the head of an entry.

use std::sync::Arc;

use crisol_core::{EntryId, Name, Namespace, Value, suggest};

use crate::decode::{Cx, Decode, Fields, FreeText, one_of, respelt, text, unknown};
use crate::kinds::KindName;
use crate::locate::Origin;
use crate::problems::Report;
use crate::role::Role;
use crate::rule::Rule;
use crate::source::Span;
use crate::values::Sha256Hash;
use crate::yaml::{Data, Natural, Node, Pair, Scalar, Style, quote};

/// Fields of an index file.
const HEADER: [&str; 3] = ["version", "namespace", "entries"];

/// Fields of an entry that do not belong to its kind.
const HEAD: [&str; 4] = ["name", "kind", "meta", "data"];

/// An entry whose head was read and whose fields were not.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// None when the name is wrong: the fields are still checked.
    pub(crate) id: Option<EntryId>,
    /// Whether another entry has this id: then only the fields are checked.
    pub(crate) is_second: bool,
    /// None when the kind is wrong.
    pub(crate) kind: Option<KindName>,
    pub(crate) namespace: Namespace,
    /// Which index file it is in.
    pub(crate) file: usize,
    /// What to call the entry without an id: `entries[3]`.
    pub(crate) number: usize,
    pub(crate) name_span: Span,
    pub(crate) head: Span,
    pub(crate) fields: Arc<Node>,
    pub(crate) meta: Option<Arc<Node>>,
}

impl Draft {
    /// Where it stands.
    pub(crate) fn origin(self) -> Origin {
        let Self { head, name_span: name, fields, meta, .. } = self;
        Origin { head, name, fields, meta }
    }

    /// Whether entries of its kind have a `hash`.
    pub(crate) fn has_hash(&self) -> bool {
        self.kind.is_some_and(KindName::has_hash)
    }

    /// Whether it is a folder, which binaries are in.
    pub(crate) fn is_folder(&self) -> bool {
        self.kind.is_some_and(|kind| kind.plays(Role::Folder))
    }

    /// Puts [`Sha256Hash::NONE`] where a hash is missing or malformed.
    pub(crate) fn blank_hash(&mut self) {
        if !self.has_hash() || crate::pin::current(&self.fields).is_some() {
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

/// Reads the header of an index file and the heads of its entries; tells whether all of their ids are
/// known.
pub(crate) fn drafts(
    root: &Node,
    file: usize,
    default: Option<&Namespace>,
    cx: &mut Cx<'_>,
) -> (Vec<Draft>, bool) {
    cx.what = "an index file".to_owned();
    if root.is_null() {
        let report = Report::error(Rule::MISSING_FIELD, "the file is empty")
            .help("add `entries:` with a list of entries, or remove the file");
        cx.report(root.span, report);
        return (Vec::new(), true);
    }
    let without_own = without_extensions(root);
    let root = without_own.as_ref().unwrap_or(root);
    // A file without a header is the list alone.
    let bare = matches!(root.data, Data::List(_));
    let right = respelt(root, &HEADER, &HEADER);
    if let Some((_, misspelt)) = &right {
        report_misspelt(misspelt, cx);
    }
    let root = right.as_ref().map_or(root, |(right, _)| right);
    if !bare && Fields::open(root, &HEADER, cx).is_none() {
        return (Vec::new(), false);
    }
    version(root, cx);
    let (namespace, is_named) = namespace(root, default, cx);
    let entries = if bare { Some(root) } else { root.get("entries").map(|node| &**node) };
    let Some(entries) = entries else {
        let report = Report::error(Rule::MISSING_FIELD, "an index file needs `entries`")
            .help("add `entries:` with a list of entries");
        cx.report(root.span, report);
        return (Vec::new(), false);
    };
    let items = match &entries.data {
        Data::List(items) => items.as_slice(),
        Data::Scalar(scalar) if scalar.is_null() => &[],
        Data::Scalar(_) | Data::Map(_) => {
            cx.within("entries", |cx| cx.wrong_type(entries, "a list", ""));
            return (Vec::new(), false);
        }
    };
    let read = |(number, item): (usize, &Arc<Node>)| {
        cx.within(&format!("entries[{number}]"), |cx| draft(item, file, number, &namespace, cx))
    };
    (items.iter().enumerate().filter_map(read).collect(), is_named)
}

/// An index file without its own keys, `x-…`, if it has any: they hold anchors that its entries name.
fn without_extensions(root: &Node) -> Option<Node> {
    let is_own = |pair: &Pair| pair.key.starts_with("x-");
    root.pairs().iter().any(is_own).then(|| {
        let others = root.pairs().iter().filter(|pair| !is_own(pair)).cloned().collect();
        Node::new(root.span, Data::Map(others))
    })
}

fn version(root: &Node, cx: &mut Cx<'_>) {
    let Some(node) = root.get("version").filter(|node| !node.is_null()) else { return };
    let read = cx.within("version", |cx| FreeText::decode(node, cx));
    if let Some(FreeText(found)) = read
        && !matches!(found.as_str(), "1.0" | "1")
    {
        let message = format!("the version is {}, and only `1.0` is known", quote(&found));
        let report = Report::error(Rule::VERSION, message).help("write `version: \"1.0\"`");
        cx.within("version", |cx| cx.report(node.span, report));
    }
}

/// The namespace of a file, and whether it is the right one: when it is missing or wrong, that is reported and
/// what `cx` has stands in for it, so that the entries are still checked.
fn namespace(root: &Node, default: Option<&Namespace>, cx: &mut Cx<'_>) -> (Namespace, bool) {
    let written = root.get("namespace").filter(|node| !node.is_null());
    let fallback = default.unwrap_or(&cx.namespace).clone();
    let Some(node) = written else {
        if default.is_none() {
            let report = Report::error(Rule::NO_NAMESPACE, "the file has no `namespace`")
                .help("add `namespace: myns`, or give a default one (`--namespace myns`)");
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

fn draft(
    node: &Arc<Node>,
    file: usize,
    number: usize,
    namespace: &Namespace,
    cx: &mut Cx<'_>,
) -> Option<Draft> {
    if !matches!(node.data, Data::Map(_)) {
        cx.wrong_type(node, "a map of fields", "{name: …, kind: …}");
        return None;
    }
    // A misspelt `name` or `kind` is one mistake: it is read as if it were right.
    let right = respelt(node, &HEAD, &["name", "kind"]);
    let (node, misspelt) =
        right.as_ref().map_or((&**node, &[][..]), |(right, found)| (right, found));
    let id = name(node, cx).map(|name| EntryId::new(namespace, &name));
    let head = node.place_of("kind");
    // From here on the id says which entry is meant, if there is one.
    cx.about(id.clone(), |cx| {
        report_misspelt(misspelt, cx);
        Some(Draft {
            kind: kind(node, cx),
            namespace: namespace.clone(),
            file,
            number,
            name_span: node.place_of("name"),
            head,
            fields: Arc::new(fields(node, head, cx)),
            meta: meta(node, cx),
            is_second: false,
            id,
        })
    })
}

/// Reports keys that stand for fields of the file or the entry that is read.
fn report_misspelt(misspelt: &[(Pair, &'static str)], cx: &mut Cx<'_>) {
    let what = cx.what.clone();
    let what = if cx.path.is_empty() { what } else { "an entry".to_owned() };
    for (pair, meant) in misspelt {
        unknown(pair, &what, format!("did you mean `{meant}`?"), cx);
    }
}

fn missing(node: &Node, field: &str, example: &str, cx: &mut Cx<'_>) {
    let report = Report::error(Rule::MISSING_FIELD, format!("an entry needs `{field}`"))
        .help(format!("add `{field}: {example}`"));
    cx.report(node.span, report);
}

fn name(node: &Node, cx: &mut Cx<'_>) -> Option<Name> {
    let Some(found) = node.get("name").filter(|found| !found.is_null()) else {
        missing(node, "name", "my_entry", cx);
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

fn kind(node: &Node, cx: &mut Cx<'_>) -> Option<KindName> {
    let Some(found) = node.get("kind").filter(|found| !found.is_null()) else {
        missing(node, "kind", "function.wasm", cx);
        return None;
    };
    cx.within("kind", |cx| one_of(found, KindName::WORDS, Rule::UNKNOWN_KIND, cx))
}

fn meta(node: &Node, cx: &mut Cx<'_>) -> Option<Arc<Node>> {
    let meta = node.get("meta").filter(|meta| !meta.is_null())?;
    if matches!(meta.data, Data::Map(_)) {
        return Some(Arc::clone(meta));
    }
    cx.within("meta", |cx| cx.wrong_type(meta, "a map", "{title: My entry}"));
    None
}

/// The kind's own fields: under `data`, or beside the head.
fn fields(node: &Node, head: Span, cx: &mut Cx<'_>) -> Node {
    let beside = node.pairs().iter().filter(|pair| !HEAD.contains(&&*pair.key));
    let beside: Vec<Pair> = beside.cloned().collect();
    let Some(data) = node.get("data").filter(|data| !data.is_null()) else {
        return Node::new(head, Data::Map(beside));
    };
    if !matches!(data.data, Data::Map(_)) {
        cx.within("data", |cx| cx.wrong_type(data, "a map of fields", ""));
    }
    for pair in &beside {
        let message = format!("{} stands beside `data`", quote(&pair.key));
        let mut help = "move it into `data`".to_owned();
        if let Some(near) = suggest::nearest(&pair.key, HEAD) {
            help = format!("{help}; or did you mean `{near}`?");
        }
        let report = Report::error(Rule::MIXED_DATA, message).help(help);
        cx.within(&pair.key, |cx| cx.report(pair.key_span, report));
    }
    Node::new(head, Data::Map(data.pairs().to_vec()))
}

/// A node as a value without a type, for `meta`.
pub(crate) fn value(node: &Node) -> Value {
    match &node.data {
        Data::List(items) => Value::List(items.iter().map(|item| value(item)).collect()),
        Data::Map(pairs) => {
            let pair = |pair: &Pair| (Value::from(&*pair.key), value(&pair.value));
            Value::Map(pairs.iter().map(pair).collect())
        }
        Data::Scalar(scalar) => match scalar.natural() {
            Natural::Null => Value::Null,
            Natural::Bool(bool) => Value::Bool(bool),
            Natural::Int(int) => match (i64::try_from(int), u64::try_from(int)) {
                (Ok(int), _) => Value::Int(int),
                (_, Ok(int)) => Value::UInt(int),
                _ => Value::Float(int as f64),
            },
            Natural::Float(float) => Value::Float(float),
            Natural::Text(text) => Value::from(text),
        },
    }
}
