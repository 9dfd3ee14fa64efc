//! Overrides from the command line: `--set ns:entry:path=value` sets one field of one entry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crisol_core::{EntryId, suggest};

use crate::entry::Draft;
use crate::field::{Step, steps};
use crate::problems::{Fault, Report, Sink, fault};
use crate::rule::Rule;
use crate::source::{Sources, Span};
use crate::yaml::{self, Data, Node, Pair, Scalar, Style, quote};

/// Applies each override to the draft it names. Overrides of `gone` entries have no effect.
pub(crate) fn apply(
    texts: &[String],
    gone: &HashSet<EntryId>,
    drafts: &mut [Draft],
    sink: &mut Sink,
    sources: &mut Sources,
) {
    if texts.is_empty() {
        return;
    }
    let by_id: HashMap<EntryId, usize> = drafts
        .iter()
        .enumerate()
        .filter(|(_, draft)| !draft.is_second)
        .filter_map(|(at, draft)| Some((draft.id.clone()?, at)))
        .collect();
    for text in texts {
        let source = sources.add("--set", text.as_str().into());
        let put = Override::parse(text, source, sink).and_then(|one| {
            let draft = by_id.get(one.id).and_then(|&at| drafts.get_mut(at));
            let Some(draft) = draft else {
                if gone.contains(one.id) {
                    return Ok(());
                }
                return Err(unknown_entry(one.id, &by_id, one.span(0, one.id.len())));
            };
            one.put(draft)
        });
        if let Err(fault) = put {
            sink.file(fault.0, fault.1);
        }
    }
}

struct Override<'t> {
    source: u32,
    id: &'t str,
    path: &'t str,
    value: Arc<Node>,
}

fn unknown_entry(id: &str, known: &HashMap<EntryId, usize>, span: Span) -> Fault {
    let mut ids: Vec<&str> = known.keys().map(EntryId::as_str).collect();
    ids.sort_unstable();
    let help = match suggest::nearest(id, ids) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name an entry of the app, as `namespace:name`".to_owned(),
    };
    let message = format!("there is no entry {} to override", quote(id));
    fault(span, Report::error(Rule::BAD_OVERRIDE, message).help(help))
}

impl<'t> Override<'t> {
    fn parse(text: &'t str, source: u32, sink: &mut Sink) -> Result<Self, Fault> {
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let form = || {
            let report = Report::error(
                Rule::BAD_OVERRIDE,
                format!("{} is not an override", quote(text)),
            )
            .help("write `namespace:entry:path=value`, such as `myns:compute:pool.max_size=4`");
            fault(Span { source, start: 0, end }, report)
        };
        let (target, value) = text.split_once('=').ok_or_else(form)?;
        let (id, path) = target.rsplit_once(':').ok_or_else(form)?;
        if !id.contains(':') || steps(path).is_none() {
            return Err(form());
        }
        // Spaces replace the target, so byte offsets in the value match those in the override.
        let padded = format!("{}{value}", " ".repeat(target.len() + 1));
        let mut faults = Vec::new();
        let node = yaml::parse(source, &padded, &mut faults);
        let mut faults = faults.into_iter();
        let first = faults.next();
        faults.for_each(|fault| sink.file(fault.0, fault.1));
        match (node, first) {
            (Some(node), None) => Ok(Self { source, id, path, value: Arc::new(loose(&node)) }),
            (_, Some(fault)) => Err(fault),
            (None, None) => Err(form()),
        }
    }

    /// Returns a byte range of the override's text as a location.
    fn span(&self, start: usize, end: usize) -> Span {
        let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { source: self.source, start: byte(start), end: byte(end) }
    }

    fn put(&self, draft: &mut Draft) -> Result<(), Fault> {
        let steps = steps(self.path).unwrap_or_default();
        let bad = |why: String| {
            let start = self.id.len() + 1;
            let report = Report::error(Rule::BAD_OVERRIDE, why)
                .help("name a field of the entry, such as `limits.max_execution_ms`");
            fault(self.span(start, start + self.path.len()), report)
        };
        match steps.split_first() {
            Some((Step::Key("meta"), rest)) => {
                let empty = Arc::new(Node::new(self.value.span, Data::Map(Vec::new())));
                let meta = draft.meta.as_ref().unwrap_or(&empty);
                draft.meta = Some(self.replaced(meta, rest).map_err(bad)?);
            }
            Some((Step::Key(name @ ("name" | "kind" | "data")), _)) => {
                return Err(bad(format!("`{name}` cannot be overridden")));
            }
            _ => draft.fields = self.replaced(&draft.fields, &steps).map_err(bad)?,
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
            (Step::Key(key), _) => return Err(format!("`{key}` is asked of what is not a map")),
            (Step::Index(_) | Step::Next, _) => {
                return Err("an item is asked of what is not a list".to_owned());
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
                return Err(format!(
                    "there is no item [{at}]: the next one of the list is [{len}], or `[]`"
                ));
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

/// Makes plain scalars loose, so that the schema decides their type: `5` on a command line may be text.
fn loose(node: &Node) -> Node {
    let data = match &node.data {
        Data::Scalar(scalar) if scalar.style == Style::Plain => {
            Data::Scalar(Scalar::new(scalar.text.clone(), Style::Loose))
        }
        Data::Scalar(scalar) => Data::Scalar(scalar.clone()),
        Data::List(items) => Data::List(items.iter().map(|item| Arc::new(loose(item))).collect()),
        Data::Map(pairs) => {
            let one = |pair: &Pair| Pair { value: Arc::new(loose(&pair.value)), ..pair.clone() };
            Data::Map(pairs.iter().map(one).collect())
        }
    };
    Node::new(node.span, data)
}
