//! Overrides from the command line: `--set ns:entry:path=value` sets one field of one entry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crisol_core::{EntryId, suggest};

use crate::entry::EntryDraft;
use crate::field::{Step, parse_path};
use crate::problems::{Diagnostics, Report};
use crate::rule::Rule;
use crate::source::{SourceMap, Span};
use crate::yaml::{self, Data, Node, Pair, Scalar, Style, quote};

/// Applies each override to the draft it names. Overrides of `removed` entries have no effect.
pub(crate) fn apply(
    texts: &[String],
    removed: &HashSet<EntryId>,
    drafts: &mut [EntryDraft],
    diagnostics: &mut Diagnostics,
    sources: &mut SourceMap,
) {
    if texts.is_empty() {
        return;
    }
    let by_id: HashMap<EntryId, usize> = drafts
        .iter()
        .enumerate()
        .filter(|(_, draft)| !draft.is_duplicate)
        .filter_map(|(at, draft)| Some((draft.id.clone()?, at)))
        .collect();
    for text in texts {
        let source = sources.add("--set", text.as_str().into());
        let Some(one) = Override::parse(text, source, diagnostics) else { continue };
        match by_id.get(one.id).and_then(|&at| drafts.get_mut(at)) {
            Some(draft) => one.apply_to(draft, diagnostics),
            None if removed.contains(one.id) => {}
            None => {
                let span = one.span(0, one.id.len());
                diagnostics.at(span, unknown_entry(one.id, &by_id));
            }
        }
    }
}

struct Override<'t> {
    source: u32,
    id: &'t str,
    path: &'t str,
    value: Arc<Node>,
}

fn unknown_entry(id: &str, known: &HashMap<EntryId, usize>) -> Report {
    let mut ids: Vec<&str> = known.keys().map(EntryId::as_str).collect();
    ids.sort_unstable();
    let help = match suggest::nearest(id, ids) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name an entry of the app, as `namespace:name`".to_owned(),
    };
    let message = format!("cannot override the unknown entry {}", quote(id));
    Report::error(Rule::BAD_OVERRIDE, message).help(help)
}

impl<'t> Override<'t> {
    /// Parses an override. Returns `None` after reporting a problem.
    fn parse(text: &'t str, source: u32, diagnostics: &mut Diagnostics) -> Option<Self> {
        let target = text.split_once('=').and_then(|(target, value)| {
            let (id, path) = target.rsplit_once(':')?;
            let is_right = id.contains(':') && parse_path(path).is_some();
            is_right.then_some((target, id, path, value))
        });
        let Some((target, id, path, value)) = target else {
            let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let message = format!("{} is not an override", quote(text));
            let report = Report::error(Rule::BAD_OVERRIDE, message)
                .help("write `namespace:entry:path=value`, such as `myns:compute:pool.max_size=4`");
            diagnostics.at(Span { source, start: 0, end }, report);
            return None;
        };
        // Spaces replace the target, so byte offsets in the value match those in the override.
        let padded = format!("{}{value}", " ".repeat(target.len() + 1));
        let before = diagnostics.errors();
        let node = yaml::parse(source, &padded, diagnostics)?;
        let is_right = diagnostics.errors() == before;
        is_right.then(|| Self { source, id, path, value: Arc::new(untyped(&node)) })
    }

    /// Returns a byte range of the override's text as a location.
    fn span(&self, start: usize, end: usize) -> Span {
        let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { source: self.source, start: byte(start), end: byte(end) }
    }

    /// Sets the field in a draft, or reports why it cannot be set.
    fn apply_to(&self, draft: &mut EntryDraft, diagnostics: &mut Diagnostics) {
        if let Err(message) = self.set_in(draft) {
            let start = self.id.len() + 1;
            let report = Report::error(Rule::BAD_OVERRIDE, message)
                .help("name a field of the entry, such as `limits.max_execution_ms`");
            diagnostics.at(self.span(start, start + self.path.len()), report);
        }
    }

    /// Sets the field in a draft.
    ///
    /// # Errors
    /// Returns a message if the entry cannot have such a field.
    fn set_in(&self, draft: &mut EntryDraft) -> Result<(), String> {
        let steps = parse_path(self.path).unwrap_or_default();
        match steps.split_first() {
            Some((Step::Key("meta"), rest)) => {
                let empty = Arc::new(Node::new(self.value.span, Data::Map(Vec::new())));
                let meta = draft.meta.as_ref().unwrap_or(&empty);
                draft.meta = Some(self.replaced(meta, rest)?);
            }
            Some((Step::Key(name @ ("name" | "kind" | "data")), _)) => {
                return Err(format!("`{name}` cannot be overridden"));
            }
            _ => draft.fields = self.replaced(&draft.fields, &steps)?,
        }
        Ok(())
    }

    /// Returns the node with the value at the end of the steps. Creates missing maps.
    fn replaced(&self, node: &Arc<Node>, steps: &[Step<'_>]) -> Result<Arc<Node>, String> {
        let Some((step, rest)) = steps.split_first() else { return Ok(Arc::clone(&self.value)) };
        let fresh = Arc::new(Node::null(self.value.span));
        let data = match (step, &node.data) {
            (Step::Key(key), Data::Map(pairs)) => {
                Data::Map(self.with_key(pairs, key, rest, &fresh)?)
            }
            (Step::Key(key), _) if node.is_null() => {
                Data::Map(self.with_key(&[], key, rest, &fresh)?)
            }
            (Step::Index(_) | Step::Next, Data::List(items)) => {
                Data::List(self.with_item(items, *step, rest, &fresh)?)
            }
            (Step::Index(_) | Step::Next, _) if node.is_null() => {
                Data::List(self.with_item(&[], *step, rest, &fresh)?)
            }
            (Step::Key(key), _) => {
                return Err(format!("`{key}` is below a value that is not a map"));
            }
            (Step::Index(_) | Step::Next, _) => {
                return Err("an item is below a value that is not a list".to_owned());
            }
        };
        Ok(Arc::new(Node::new(node.span, data)))
    }

    /// Returns the items with one replaced, appended, or removed by an empty value.
    fn with_item(
        &self,
        items: &[Arc<Node>],
        step: Step<'_>,
        rest: &[Step<'_>],
        fresh: &Arc<Node>,
    ) -> Result<Vec<Arc<Node>>, String> {
        let len = items.len();
        let at = match step {
            Step::Index(at) => at,
            Step::Key(_) | Step::Next => len,
        };
        let mut items = items.to_vec();
        match items.get_mut(at) {
            Some(_) if rest.is_empty() && self.value.is_null() => drop(items.remove(at)),
            Some(item) => *item = self.replaced(item, rest)?,
            None if at == len => items.push(self.replaced(fresh, rest)?),
            None => {
                return Err(format!("the list has no item [{at}]: append one as [{len}] or `[]`"));
            }
        }
        Ok(items)
    }

    fn with_key(
        &self,
        pairs: &[Pair],
        key: &str,
        rest: &[Step<'_>],
        fresh: &Arc<Node>,
    ) -> Result<Vec<Pair>, String> {
        let mut pairs = pairs.to_vec();
        match pairs.iter_mut().find(|pair| &*pair.key == key) {
            Some(pair) => pair.value = self.replaced(&pair.value, rest)?,
            None => {
                let value = self.replaced(fresh, rest)?;
                let start = self.id.len() + 1;
                let key_span = self.span(start, start + self.path.len());
                pairs.push(Pair { key: key.into(), key_span, value });
            }
        }
        Ok(pairs)
    }
}

/// Makes plain scalars untyped, so that the schema decides their type: `5` on a command line may be text.
fn untyped(node: &Node) -> Node {
    let data = match &node.data {
        Data::Scalar(scalar) if scalar.style == Style::Plain => {
            Data::Scalar(Scalar::new(scalar.text.clone(), Style::Untyped))
        }
        Data::Scalar(scalar) => Data::Scalar(scalar.clone()),
        Data::List(items) => Data::List(items.iter().map(|item| Arc::new(untyped(item))).collect()),
        Data::Map(pairs) => {
            let one = |pair: &Pair| Pair { value: Arc::new(untyped(&pair.value)), ..pair.clone() };
            Data::Map(pairs.iter().map(one).collect())
        }
    };
    Node::new(node.span, data)
}
