//! Locations in entries: from a field to its node, and from a byte of a text to its location in the file.

use std::sync::Arc;

use crate::field::{EntryField, Step};
use crate::source::{SourceMap, Span};
use crate::yaml::{Data, Node, Style};

/// Location of an entry and its nodes.
#[derive(Debug)]
pub(crate) struct EntryOrigin {
    /// Location of the kind, where missing fields are reported.
    pub(crate) head: Span,
    /// Location of the name, shown as the location of the entry.
    pub(crate) name: Span,
    /// The kind's own fields, as written.
    pub(crate) fields: Arc<Node>,
    pub(crate) meta: Option<Arc<Node>>,
}

fn child<'n>(node: &'n Node, step: Step<'_>) -> Option<&'n Arc<Node>> {
    match (step, &node.data) {
        (Step::Key(key), _) => node.get(key),
        (Step::Index(at), Data::List(items)) => items.get(at),
        (Step::Index(_) | Step::Next, _) => None,
    }
}

/// Returns the node above a field, `meta` or the kind's fields, and the steps from there.
fn root<'o, 'f>(
    origin: &'o EntryOrigin,
    field: &'f EntryField,
) -> Option<(&'o Node, Vec<Step<'f>>)> {
    let mut steps = field.steps();
    if steps.first() == Some(&Step::Key("meta")) {
        steps.remove(0);
        return Some((origin.meta.as_deref()?, steps));
    }
    Some((&origin.fields, steps))
}

/// Returns the node of a field, or its nearest written parent.
pub(crate) fn nearest_node<'o>(origin: &'o EntryOrigin, field: &EntryField) -> Option<&'o Node> {
    let (mut node, steps) = root(origin, field)?;
    for step in steps {
        match child(node, step) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    Some(node)
}

/// Returns the node of a field.
pub(crate) fn node<'o>(origin: &'o EntryOrigin, field: &EntryField) -> Option<&'o Node> {
    let (node, steps) = root(origin, field)?;
    steps.into_iter().try_fold(node, |node, step| child(node, step).map(|inner| &**inner))
}

/// Returns the location of a byte of a scalar's text. A block scalar maps line by line, shifted by its
/// indentation; a text on one line maps directly; any other form maps to the whole scalar.
pub(crate) fn span_inside(sources: &SourceMap, node: &Node, offset: usize) -> Span {
    let place = || {
        let Data::Scalar(scalar) = &node.data else { return None };
        let source = sources.get(node.span.source)?;
        let raw = source.text.get(node.span.range())?;
        let before = scalar.text.get(..offset)?;
        let (line, column) = (
            before.matches('\n').count(),
            before.len() - before.rfind('\n').map_or(0, |at| at + 1),
        );
        let found = if scalar.style == Style::Quoted && !raw.starts_with(['"', '\'']) {
            let wanted = scalar.text.split('\n').nth(line)?;
            let first = source.line_of(node.span.start as usize);
            // The span may begin at the `|` or at the first line.
            let at = [first, first + 1].into_iter().map(|start| start + line);
            let at =
                at.into_iter().find(|&at| source.line(at).trim_start() == wanted.trim_start())?;
            let text = source.line(at);
            let shift = text.len().checked_sub(wanted.trim_end_matches('\r').len())?;
            source.line_start(at) + shift + column
        } else {
            let quote = usize::from(raw.starts_with(['"', '\'']));
            let same = raw.get(quote..)?.get(..offset)? == before;
            same.then_some(node.span.start as usize + quote + offset)?
        };
        let start = u32::try_from(found).ok()?;
        Some(Span { source: node.span.source, start, end: start.saturating_add(1) })
    };
    place().unwrap_or(node.span)
}
