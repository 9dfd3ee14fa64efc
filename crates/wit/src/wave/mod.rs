//! WAVE, the text encoding of component values, read and written.
//!
//! `wasm-wave` splits the text into nodes; the plan decides their types, as for every other source, so the errors are
//! the same.

mod write;

pub(crate) use write::write;

use wasm_wave::ast::{Node, NodeType};
use wasm_wave::untyped::UntypedFuncCall;

use crate::error::{LowerError, Mismatch, Segment, Unexpected};
use crate::lower::build::{FlagsBuilder, OneOf, RecordBuilder, complete, wrong_count};
use crate::lower::{Noted, Run, scalar};
use crate::packed::Packed;
use crate::shape::{Record, Shape};

/// Deepest nesting of brackets: the splitter is recursive.
const MAX_NESTING: usize = 500;

/// Lowers `(value, …)`.
pub(crate) fn lower(params: &Record, text: &str) -> Result<Packed, LowerError> {
    let malformed = |message: String| LowerError::Source { place: None, message };
    if nesting(text) > MAX_NESTING {
        return Err(malformed(format!("brackets are nested over {MAX_NESTING} deep")));
    }
    // The splitter parses values and calls, but not lists of arguments.
    let call = format!("f{}", text.trim());
    let call = UntypedFuncCall::parse(&call).map_err(|error| malformed(error.to_string()))?;
    let run = Run::with_capacity(false, false, text.len());
    let source = Source { text: call.source(), run: &run };
    let lowered = source.arguments(params, call.params_node());
    run.finish(lowered, Some(params))
}

/// Nesting depth of the brackets in `text`, outside of strings.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '"' if rest.starts_with("\"\"\"") => {
                rest.get(3..).and_then(|tail| tail.find("\"\"\"")).map_or(rest.len(), |at| at + 6)
            }
            '"' | '\'' => quoted(rest, c),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ => c.len_utf8(),
        };
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        rest = rest.get(skipped..).unwrap_or_default();
    }
    deepest
}

/// Length of the quoted text at the start of `rest`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

type Lowered = Result<(), Noted>;

#[derive(Clone, Copy)]
struct Source<'s> {
    text: &'s str,
    run: &'s Run,
}

impl<'s> Source<'s> {
    fn done<T>(self, value: Result<T, Mismatch>) -> Result<T, Noted> {
        value.map_err(|mismatch| self.run.note(mismatch))
    }

    fn inside(self, value: Lowered, segment: impl FnOnce() -> Segment) -> Lowered {
        if value.is_err() {
            self.run.came_from(segment());
        }
        value
    }

    fn slice(self, node: &Node) -> &'s str {
        self.text.get(node.span()).unwrap_or_default()
    }

    fn arguments(self, params: &Record, list: Option<&Node>) -> Lowered {
        let nodes: Vec<&Node> = match list.map(Node::as_tuple) {
            Some(Ok(nodes)) => nodes.collect(),
            _ => Vec::new(),
        };
        let given = nodes.len();
        if given > params.shapes.len() {
            return Err(self.run.note_whole(wrong_count(params, given)));
        }
        self.each(params.shapes.iter().zip(nodes))?;
        complete(params, given, self.run).map_err(|error| self.run.note_whole(error))
    }

    /// Lowers consecutive values.
    fn each<'n>(self, values: impl Iterator<Item = (&'n Shape, &'n Node)>) -> Lowered {
        for (at, (shape, node)) in values.enumerate() {
            self.inside(self.value(shape, node), || Segment::Index(at))?;
        }
        Ok(())
    }

    fn found(self, node: &Node) -> Unexpected {
        match node.ty() {
            NodeType::BoolTrue => Unexpected::Bool(true),
            NodeType::BoolFalse => Unexpected::Bool(false),
            NodeType::Number => Unexpected::number(self.slice(node)),
            NodeType::Char | NodeType::String | NodeType::MultilineString => {
                Unexpected::text(self.slice(node).trim_matches(['"', '\'']))
            }
            NodeType::Tuple | NodeType::List => Unexpected::List,
            NodeType::Record | NodeType::Flags => Unexpected::Map,
            NodeType::OptionNone => Unexpected::Null,
            NodeType::Label => Unexpected::case(self.slice(node)),
            NodeType::OptionSome => Unexpected::Case("some".to_owned()),
            NodeType::ResultOk => Unexpected::Case("ok".to_owned()),
            NodeType::ResultErr => Unexpected::Case("err".to_owned()),
            NodeType::VariantWithPayload => {
                Unexpected::case(node.as_variant(self.text).map_or("", |(case, _)| case))
            }
        }
    }

    fn mismatch(self, shape: &Shape, node: &Node) -> Lowered {
        self.done(Err(Mismatch::of(shape, self.found(node))))
    }

    fn value(self, shape: &Shape, node: &Node) -> Lowered {
        match (shape, node.ty()) {
            (Shape::Bool, NodeType::BoolTrue | NodeType::BoolFalse) => {
                self.done(scalar::boolean(shape, node.ty() == NodeType::BoolTrue, self.run))
            }
            (Shape::Option(option), kind) => match (kind, node.as_option()) {
                (_, Ok(None)) => self.done(scalar::null(shape, self.run)),
                (_, Ok(Some(inner))) => self.held(&option.some, inner),
                _ if matches!(option.some, Shape::Option(_) | Shape::Result(_)) => {
                    self.mismatch(shape, node)
                }
                _ => self.held(&option.some, node),
            },
            (Shape::Result(_), _) => self.result(shape, node),
            (_, NodeType::Number) => self.number(shape, node),
            (Shape::Char, NodeType::Char) => match node.as_char(self.text) {
                Ok(c) => {
                    self.run.out.array(u32::from(c).to_le_bytes());
                    Ok(())
                }
                Err(_) => self.mismatch(shape, node),
            },
            (Shape::String, NodeType::String | NodeType::MultilineString) => {
                match node.as_str(self.text) {
                    Ok(text) => self.done(scalar::text(shape, &text, false, self.run)),
                    Err(_) => self.mismatch(shape, node),
                }
            }
            (
                Shape::Enum(_) | Shape::Variant(_),
                NodeType::Label | NodeType::VariantWithPayload,
            ) => self.case(shape, node),
            _ => self.compound(shape, node),
        }
    }

    /// Lowers the content of an option.
    fn held(self, shape: &Shape, node: &Node) -> Lowered {
        self.run.out.some();
        self.value(shape, node)
    }

    fn number(self, shape: &Shape, node: &Node) -> Lowered {
        // Floats are parsed from their own text: as an integer, -0 would lose its sign.
        match shape {
            Shape::F32 if let Ok(number) = node.as_number::<f32>(self.text) => {
                self.run.out.array(number.to_le_bytes());
                return Ok(());
            }
            Shape::F64 if let Ok(number) = node.as_number::<f64>(self.text) => {
                self.run.out.array(number.to_le_bytes());
                return Ok(());
            }
            _ => {}
        }
        if let Ok(number) = node.as_number::<i128>(self.text) {
            return self.done(scalar::integer(shape, number, self.run));
        }
        match node.as_number::<f64>(self.text) {
            Ok(number) => self.done(scalar::float(shape, number, false, self.run)),
            Err(_) => self.mismatch(shape, node),
        }
    }

    /// Lowers `ok(…)`, `err(…)`, or the bare ok value.
    fn result(self, shape: &Shape, node: &Node) -> Lowered {
        let Shape::Result(sides) = shape else { return self.mismatch(shape, node) };
        let (at, payload) = match node.as_result() {
            Ok(Ok(payload)) => (0, payload),
            Ok(Err(payload)) => (1, payload),
            Err(_) => {
                return match &sides.ok {
                    Some(ok) if !matches!(ok, Shape::Option(_) | Shape::Result(_)) => {
                        OneOf::Result(sides).begin(0, self.run);
                        self.value(ok, node)
                    }
                    _ => self.mismatch(shape, node),
                };
            }
        };
        self.payload(OneOf::Result(sides), at, payload)
    }

    fn case(self, shape: &Shape, node: &Node) -> Lowered {
        match (OneOf::of(shape), node.as_variant(self.text)) {
            (Some(cases), Ok((name, payload))) => {
                let at = self.done(cases.find(name))?;
                self.payload(cases, at, payload)
            }
            _ => self.mismatch(shape, node),
        }
    }

    fn payload(self, cases: OneOf<'_>, at: usize, payload: Option<&Node>) -> Lowered {
        match (cases.payload(at), payload) {
            (_, None) => self.done(cases.bare_at(at, self.run)),
            (None, Some(node)) => self.done(Err(cases.unexpected_payload(at, self.found(node)))),
            (Some(shape), Some(node)) => {
                cases.begin(at, self.run);
                let value = self.value(shape, node);
                self.inside(value, || Segment::Name(cases.name(at).to_owned()))
            }
        }
    }

    fn compound(self, shape: &Shape, node: &Node) -> Lowered {
        match shape {
            Shape::List(item) => self.list(shape, item, node),
            Shape::Bytes(None) => self.list(shape, &Shape::U8, node),
            Shape::FixedList(item, len) => self.fixed(shape, item, *len as usize, node),
            Shape::Bytes(Some(len)) => self.fixed(shape, &Shape::U8, *len as usize, node),
            Shape::Map(map) => self.list(shape, &map.pair, node),
            Shape::Tuple(shapes) => {
                let Ok(nodes) = node.as_tuple() else { return self.mismatch(shape, node) };
                if nodes.len() != shapes.len() {
                    return self.done(Err(Mismatch::length(shape, shapes.len(), nodes.len())));
                }
                self.each(shapes.iter().zip(nodes))
            }
            Shape::Record(record) => self.record(shape, record, node),
            Shape::Flags(names) => {
                let Ok(given) = node.as_flags(self.text) else { return self.mismatch(shape, node) };
                let flags = FlagsBuilder::new(names, self.run);
                for name in given {
                    self.done(flags.put(name.strip_prefix('%').unwrap_or(name)))?;
                }
                Ok(())
            }
            _ => self.mismatch(shape, node),
        }
    }

    fn list(self, shape: &Shape, item: &Shape, node: &Node) -> Lowered {
        let Ok(nodes) = node.as_list() else { return self.mismatch(shape, node) };
        let (start, items) = (self.run.out.begin_list(), nodes.len());
        self.each(nodes.map(|node| (item, node)))?;
        self.done(self.run.out.end_list(shape, start, items))
    }

    fn fixed(self, shape: &Shape, item: &Shape, len: usize, node: &Node) -> Lowered {
        let Ok(nodes) = node.as_list() else { return self.mismatch(shape, node) };
        let found = nodes.len();
        self.each(nodes.map(|node| (item, node)))?;
        if found != len {
            return self.done(Err(Mismatch::length(shape, len, found)));
        }
        Ok(())
    }

    fn record(self, shape: &Shape, record: &Record, node: &Node) -> Lowered {
        let Ok(fields) = node.as_record(self.text) else { return self.mismatch(shape, node) };
        let mut builder = RecordBuilder::new(record, self.run);
        for (name, node) in fields {
            let (at, shape) = self.done(builder.slot(name))?;
            self.inside(self.value(shape, node), || Segment::Name(name.to_owned()))?;
            builder.put(at);
        }
        self.done(builder.finish())
    }
}
