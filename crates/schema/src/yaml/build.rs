//! Builds the tree from parser events on an explicit stack: no recursion, no unbounded aliases.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Parser, StrInput};

use super::node::{Data, Node, Pair};
use super::scalar::{Style, quote};
use super::tag;
use crate::field::MAX_DEPTH;
use crate::problems::{Diagnostics, LocatedReport, Report};
use crate::rule::Rule;
use crate::source::Span;

/// Maximum number of values in a file.
const MAX_NODES: usize = 4_000_000;

/// Maximum number of values that all aliases of a file expand to.
const MAX_ALIASED: u64 = 100_000;

/// Maximum number of interned keys.
const MAX_KEYS: usize = 10_000;
/// Maximum length of an interned key, in bytes.
const SHORT_KEY: usize = 64;
/// Maximum number of pairs in a map that is searched linearly.
const FEW_PAIRS: usize = 16;

/// A list or map that is still open.
struct Frame {
    start: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Arc<Node>>),
    Map(Mapping),
}

#[derive(Default)]
struct Mapping {
    pairs: Vec<Pair>,
    /// Location of each key, for maps too large to search linearly.
    seen: HashMap<Arc<str>, Span>,
    /// Key of the next value; true for a plain `<<`.
    key: Option<(Arc<str>, Span, bool)>,
    /// Maps merged with `<<`. They fill in keys that the map does not have.
    merged: Vec<Arc<Node>>,
}

struct TreeBuilder<'d> {
    source: u32,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Arc<Node>>,
    /// Interned keys: most are field names and occur very often.
    keys: HashSet<Arc<str>>,
    aliased: u64,
    nodes: usize,
    max_nodes: usize,
    /// Start of the current document.
    document: Span,
    /// True once a document has content.
    has_content: bool,
    root: Option<Arc<Node>>,
    diagnostics: &'d mut Diagnostics,
}

/// Parses a text as one YAML document. A syntax error ends the parsing; problems such as duplicate keys do
/// not. Returns `None` if nothing is usable.
pub(crate) fn parse(source: u32, text: &str, diagnostics: &mut Diagnostics) -> Option<Arc<Node>> {
    bounded(source, text, MAX_NODES, diagnostics)
}

fn bounded(
    source: u32,
    text: &str,
    max_nodes: usize,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Node>> {
    let mut options = granit_parser::options! {};
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH * 2;
    options.block_nesting_limit = MAX_DEPTH * 2;
    let parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(text, options);
    let mut builder = TreeBuilder {
        source,
        stack: Vec::new(),
        anchors: HashMap::new(),
        keys: HashSet::new(),
        aliased: 0,
        nodes: 0,
        max_nodes,
        document: Span::head(source),
        has_content: false,
        root: None,
        diagnostics,
    };
    for next in parser {
        let step = match next {
            Ok((event, span)) => builder.event(event, builder.span(&span)),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                Err(LocatedReport::new(builder.bytes(at, at), syntax(&error)))
            }
        };
        if let Err(located) = step {
            builder.diagnostics.add(located);
            return None;
        }
    }
    Some(builder.root.unwrap_or_else(|| Arc::new(Node::null(Span::head(source)))))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no help of its own has a general one")]
fn syntax(error: &granit_parser::ScanError) -> Report {
    use granit_parser::ErrorKind as Kind;
    let help = match error.kind() {
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabAtBlockScalarStart
        | Kind::TabInIndentation => "indent with spaces",
        Kind::UnknownAnchor => {
            return Report::error(Rule::YAML_ALIAS, "unknown anchor: it is not defined above")
                .help("define it above with `&name`, or quote a text that begins with `*`");
        }
        Kind::UnclosedFlowCollection { .. } => "close the bracket",
        Kind::MismatchedFlowCollectionEnd { .. } => "close the innermost bracket first",
        Kind::UnclosedQuotedScalar => "close the quotes",
        Kind::RecursionLimitExceeded => return too_deep(),
        Kind::UnexpectedCharacter { .. } => "quote a text that begins with a special character",
        _ => "check the indentation, the quotes and the colons of this line and the one before",
    };
    Report::error(Rule::YAML_SYNTAX, format!("invalid YAML: {}", cut(&error.info()))).help(help)
}

/// Shortens the parser's message, which may quote the text.
fn cut(message: &str) -> &str {
    message.char_indices().nth(200).map_or(message, |(at, _)| message.get(..at).unwrap_or(""))
}

fn too_deep() -> Report {
    Report::error(Rule::YAML_DEPTH, format!("lists and maps are nested more than {MAX_DEPTH} deep"))
        .help("flatten the structure")
}

impl TreeBuilder<'_> {
    fn bytes(&self, start: usize, end: usize) -> Span {
        Span { source: self.source, start: start as u32, end: end as u32 }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        self.bytes(range.start, range.end)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other events bring no value")]
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), LocatedReport> {
        match event {
            Event::DocumentStart(..) => {
                self.document = span;
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_key = anchor == 0 && self.awaits_key();
                if is_key && tag.is_none() {
                    return self.key(&text, tag::style(style), span);
                }
                let written = tag::TaggedScalar { text: &text, style, tag: tag.as_deref() };
                let scalar = written.read(span, self.diagnostics);
                if is_key {
                    return self.key(&text, scalar.style, span);
                }
                if self.stack.is_empty() {
                    // An empty document, such as one after a closing `---`, adds nothing.
                    if scalar.is_null() {
                        return Ok(());
                    }
                    self.content()?;
                }
                let node = Node::new(span, Data::Scalar(scalar));
                self.value(Arc::new(node), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                tag::check_collection("seq", tag.as_deref(), span, self.diagnostics);
                self.open(span, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                tag::check_collection("map", tag.as_deref(), span, self.diagnostics);
                self.open(span, anchor, Items::Map(Mapping::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    /// Records that a document has content. Fails on a second document with content.
    fn content(&mut self) -> Result<(), LocatedReport> {
        if !std::mem::replace(&mut self.has_content, true) {
            return Ok(());
        }
        let report = Report::error(Rule::YAML_DOCUMENTS, "a second document begins here")
            .help("move the second document into a separate file, or remove the `---`");
        Err(LocatedReport::new(self.document, report))
    }

    fn open(&mut self, span: Span, anchor: usize, items: Items) -> Result<(), LocatedReport> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(LocatedReport::new(span, too_deep()));
        }
        if self.stack.is_empty() {
            self.content()?;
        }
        self.stack.push(Frame { start: span.start as usize, anchor, items });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), LocatedReport> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let data = match frame.items {
            Items::List(mut items) => {
                items.shrink_to_fit();
                Data::List(items)
            }
            Items::Map(map) => Data::Map(map.finish()),
        };
        let span = self.bytes(frame.start, span.end as usize);
        self.value(Arc::new(Node::new(span, data)), frame.anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), LocatedReport> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let report = Report::error(
                Rule::YAML_ALIAS,
                "recursive alias: it is inside the value that it names",
            )
            .help("write the value in place of the alias");
            return Err(LocatedReport::new(span, report));
        };
        if self.stack.len() + node.depth as usize > MAX_DEPTH + 1 {
            return Err(LocatedReport::new(span, too_deep()));
        }
        self.aliased = self.aliased.saturating_add(node.weight.into());
        if self.aliased > MAX_ALIASED {
            let report = Report::error(
                Rule::YAML_ALIAS,
                format!("the aliases of this file expand to more than {MAX_ALIASED} values"),
            )
            .help("use fewer nested aliases");
            return Err(LocatedReport::new(span, report));
        }
        self.value(node, 0)
    }

    fn awaits_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { items: Items::Map(map), .. }) if map.key.is_none())
    }

    /// Takes a scalar key without an anchor.
    fn key(&mut self, text: &str, style: Style, span: Span) -> Result<(), LocatedReport> {
        self.count(span)?;
        let key = match self.keys.get(text) {
            Some(key) => Arc::clone(key),
            None => {
                let key: Arc<str> = text.into();
                if self.keys.len() < MAX_KEYS && text.len() <= SHORT_KEY {
                    self.keys.insert(Arc::clone(&key));
                }
                key
            }
        };
        if let Some(Frame { items: Items::Map(map), .. }) = self.stack.last_mut() {
            map.key = Some((key, span, style == Style::Plain && text == "<<"));
        }
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), LocatedReport> {
        self.nodes += 1;
        if self.nodes <= self.max_nodes {
            return Ok(());
        }
        let message = format!("the file has more than {} values", self.max_nodes);
        let report = Report::error(Rule::TOO_LARGE, message).help("split the file");
        Err(LocatedReport::new(span, report))
    }

    fn value(&mut self, node: Arc<Node>, anchor: usize) -> Result<(), LocatedReport> {
        self.count(node.span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        match self.stack.last_mut().map(|frame| &mut frame.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map(map)) => map.accept(node, self.diagnostics),
        }
        Ok(())
    }
}

fn duplicate(key: &str, first: Span, span: Span, diagnostics: &mut Diagnostics) {
    let report = Report::error(Rule::YAML_DUPLICATE_KEY, format!("duplicate key {}", quote(key)))
        .related(Some(first), "first here")
        .help("remove one of the two");
    diagnostics.at(span, report);
}

impl Mapping {
    /// Takes a key or a value, in turn.
    fn accept(&mut self, node: Arc<Node>, diagnostics: &mut Diagnostics) {
        match self.key.take() {
            None => self.key = Some(self.read_key(&node, diagnostics)),
            Some((_, _, true)) => self.merge(node, diagnostics),
            Some((key, key_span, false)) => {
                if let Some(first) = self.find(&key) {
                    duplicate(&key, first, key_span, diagnostics);
                } else {
                    self.push(Pair { key, key_span, value: node });
                }
            }
        }
    }

    /// Returns the location of a key in this map.
    fn find(&self, key: &str) -> Option<Span> {
        if self.pairs.len() <= FEW_PAIRS {
            return self.pairs.iter().find(|pair| &*pair.key == key).map(|pair| pair.key_span);
        }
        self.seen.get(key).copied()
    }

    fn push(&mut self, pair: Pair) {
        self.pairs.push(pair);
        // From this size on, every key is also in `seen`.
        let new = match self.pairs.len() {
            0..=FEW_PAIRS => &[],
            len if len == FEW_PAIRS + 1 => self.pairs.as_slice(),
            len => self.pairs.get(len - 1..).unwrap_or(&[]),
        };
        self.seen.extend(new.iter().map(|pair| (Arc::clone(&pair.key), pair.key_span)));
    }

    fn read_key(&self, node: &Node, diagnostics: &mut Diagnostics) -> (Arc<str>, Span, bool) {
        if let Data::Scalar(scalar) = &node.data {
            let merges = scalar.style == Style::Plain && &*scalar.text == "<<";
            return ((&*scalar.text).into(), node.span, merges);
        }
        let report = Report::error(Rule::YAML_KEY, "a key must be text, not a list or a map")
            .help("write a plain word before the colon");
        diagnostics.at(node.span, report);
        (format!("<{}>", self.pairs.len()).into(), node.span, false)
    }

    fn merge(&mut self, node: Arc<Node>, diagnostics: &mut Diagnostics) {
        let all_maps = match &node.data {
            Data::Map(_) => true,
            Data::List(items) => items.iter().all(|item| matches!(item.data, Data::Map(_))),
            Data::Scalar(_) => false,
        };
        if !all_maps {
            let report =
                Report::error(Rule::YAML_KEY, "the value of `<<` must be a map, or a list of maps")
                    .help("write an alias of a map, `<<: *name`, or a list of them");
            diagnostics.at(node.span, report);
            return;
        }
        match &node.data {
            Data::List(items) => self.merged.extend(items.iter().cloned()),
            Data::Map(_) | Data::Scalar(_) => self.merged.push(node),
        }
    }

    fn finish(mut self) -> Vec<Pair> {
        for map in std::mem::take(&mut self.merged) {
            for pair in map.pairs() {
                if self.find(&pair.key).is_none() {
                    self.push(pair.clone());
                }
            }
        }
        self.pairs.shrink_to_fit();
        self.pairs
    }
}

#[cfg(test)]
mod tests {
    use super::{Data, Diagnostics, bounded};

    #[test]
    fn values_are_counted() {
        let mut diagnostics = Diagnostics::default();
        // Four scalars and the list around them.
        assert!(
            bounded(0, "[1, 2, 3, 4]", 5, &mut diagnostics).is_some() && !diagnostics.has_errors()
        );
        assert!(bounded(0, "[1, 2, 3, 4, 5]", 5, &mut diagnostics).is_none());
        let message = diagnostics.first().map(|report| report.message.as_str());
        assert_eq!(message, Some("the file has more than 5 values"));
    }

    /// Linear and indexed lookups both find every key.
    #[test]
    fn keys_are_found_in_maps_of_any_size() {
        for size in [1, 15, 16, 17, 18, 40] {
            let keys: Vec<String> = (0..size).map(|at| format!("k{at}: 1")).collect();
            let map = keys.join(", ");
            for at in 0..size {
                let mut diagnostics = Diagnostics::default();
                let twice = bounded(0, &format!("{{{map}, k{at}: 2}}"), 1_000, &mut diagnostics);
                assert_eq!(diagnostics.errors(), 1, "k{at} of {size}");
                assert_eq!(twice.map(|map| map.pairs().len()), Some(size));
                let text = format!("[&a {{{map}}}, {{k{at}: 2, <<: *a}}]");
                let merged = bounded(0, &text, 1_000, &mut diagnostics).unwrap();
                let Data::List(items) = &merged.data else { panic!("no list") };
                assert_eq!(items[1].pairs().len(), size, "k{at} of {size}");
                assert_eq!(items[1].get(&format!("k{at}")).and_then(|two| two.int()), Some(2));
            }
        }
    }
}
