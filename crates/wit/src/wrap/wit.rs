//! WIT text: a whole document, or the fragment that an entry's `wit` field holds.
//!
//! A fragment is put into a world without moving its lines, so that errors point into the user's own
//! text. Interfaces go to a file of their own: a world cannot hold them.

use wit_parser::{Resolve, SourceMap, TypeDefKind, WorldId, WorldItem};

use super::WrapError;

/// Bytes of WIT at most. The parser's spans are 32 bits wide.
const MAX_TEXT: usize = 1 << 20;

/// Brackets within brackets at most: the parser recurses.
const MAX_NESTING: usize = 100;

/// What messages call the user's text.
const FILE: &str = "wit";

/// Parses `text` and picks the world in it, or makes one.
pub(super) fn parse(text: &str) -> Result<(Resolve, WorldId), WrapError> {
    if text.len() > MAX_TEXT {
        let message = format!("it is {} bytes long, and {MAX_TEXT} are allowed", text.len());
        return Err(WrapError::Wit { message });
    }
    let items = items(text)?;
    let mut sources = SourceMap::new();
    if items.iter().any(|item| matches!(item.kind, ItemKind::World | ItemKind::Package)) {
        sources.push_str(FILE, document(text, &items));
    } else {
        let (interfaces, world) = split(text, &items);
        if let Some(interfaces) = interfaces {
            sources.push_str(&format!("{FILE} (interfaces)"), interfaces);
        }
        sources.push_str(FILE, world);
    }
    resolve(sources)
}

fn resolve(sources: SourceMap) -> Result<(Resolve, WorldId), WrapError> {
    let group = sources
        .parse()
        .map_err(|(sources, error)| WrapError::Wit { message: error.render(&sources) })?;
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let package = match resolve.push_group(group) {
        Ok(package) => package,
        Err(error) => return Err(WrapError::Wit { message: error.render(&resolve.source_map) }),
    };
    let world = resolve
        .select_world(&[package], None)
        .map_err(|error| WrapError::Wit { message: format!("{error:#}") })?;
    Ok((resolve, world))
}

/// A document, completed by what it may leave out: the package, a world that exports its interfaces.
fn document(text: &str, items: &[Item]) -> String {
    let has = |kind| items.iter().any(|item| item.kind == kind);
    let package = if has(ItemKind::Package) { "" } else { "package crisol:guest; " };
    let world = if has(ItemKind::World) {
        String::new()
    } else {
        format!("\nworld crisol-guest {{ {}}}", exports(text, items))
    };
    format!("{package}{text}{world}")
}

/// Exports of all interfaces that have functions.
fn exports(text: &str, items: &[Item]) -> String {
    let interfaces = items.iter().filter(|item| item.kind == ItemKind::Interface);
    let callable = interfaces.filter(|item| item.text(text).contains("func"));
    let names: Vec<&str> = callable.map(|item| item.name.as_str()).collect();
    names.iter().map(|name| format!("export {name}; ")).collect()
}

/// The interfaces of a fragment, and a world of all else.
fn split(text: &str, items: &[Item]) -> (Option<String>, String) {
    let mut interfaces = blanked(text);
    let mut world = text.to_owned();
    // From the end, so that what is put in moves nothing that is still to be looked at.
    for item in items.iter().rev() {
        let range = item.start..item.end;
        match item.kind {
            ItemKind::Interface => {
                interfaces.replace_range(range.clone(), item.text(text));
                world.replace_range(range, &blanked(item.text(text)));
            }
            ItemKind::Function => world.insert_str(item.name_at, "export "),
            _ => {}
        }
    }
    let explicit = items.iter().any(|item| item.kind == ItemKind::Export);
    let exports = if explicit { String::new() } else { exports(text, items) };
    let world = format!("package crisol:guest; world crisol-guest {{ {world}\n{exports}}}");
    let has_interfaces = items.iter().any(|item| item.kind == ItemKind::Interface);
    (has_interfaces.then(|| format!("package crisol:guest; {interfaces}")), world)
}

/// Spaces in place of all but line ends: of the same length, so that positions stay.
fn blanked(text: &str) -> String {
    let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    text.bytes().map(blank).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemKind {
    Package,
    World,
    Interface,
    Export,
    /// `name: func(…)`
    Function,
    /// Types, uses, imports: worlds hold them as they are.
    Other,
}

/// One item at the top of a WIT text.
struct Item {
    kind: ItemKind,
    name: String,
    name_at: usize,
    start: usize,
    end: usize,
}

impl Item {
    fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The items at the top of `text`, told apart by brackets and the first word alone: all else is the
/// parser's to judge.
fn items(text: &str) -> Result<Vec<Item>, WrapError> {
    let mut items = Vec::new();
    let mut open: Option<Item> = None;
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = comment(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        let word = rest.len() - rest.trim_start_matches(is_word).len();
        let width = word.max(c.len_utf8());
        if !c.is_whitespace() && open.is_none() {
            open = Some(Item {
                kind: ItemKind::Other,
                name: String::new(),
                name_at: at,
                start: at,
                end: at,
            });
            words.clear();
        }
        if word > 0 && depth == 0 && words.len() < 2 {
            words.push((at, rest.get(..word).unwrap_or_default()));
        }
        match c {
            '(' | '<' | '{' => depth += 1,
            // The arrow of a result is not a bracket.
            '>' if text.get(..at).is_some_and(|before| before.ends_with('-')) => {}
            ')' | '>' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            let message = format!("its brackets are nested over {MAX_NESTING} deep");
            return Err(WrapError::Wit { message });
        }
        at += width;
        if depth == 0
            && matches!(c, ';' | '}')
            && let Some(item) = open.take()
        {
            // `use a.{b};` has its braces before its end.
            if c == '}' && words.first().is_some_and(|(_, word)| *word == "use") {
                open = Some(item);
                continue;
            }
            items.push(finished(item, &words, at));
        }
    }
    if let Some(item) = open {
        items.push(finished(item, &words, text.len()));
    }
    Ok(items)
}

fn finished(item: Item, words: &[(usize, &str)], end: usize) -> Item {
    // The word of a gate, as in `@since(version = 1.0.0)`, comes before the item's own.
    let mut words = words.iter();
    let Some((name_at, first)) = words.next() else { return Item { end, ..item } };
    let name = words.next().map_or("", |(_, name)| name).to_owned();
    let kind = match *first {
        "package" => ItemKind::Package,
        "world" => ItemKind::World,
        "interface" => ItemKind::Interface,
        "export" => ItemKind::Export,
        "use" | "import" | "include" | "record" | "variant" | "enum" | "flags" | "type"
        | "resource" => ItemKind::Other,
        _ => ItemKind::Function,
    };
    Item { kind, name, name_at: *name_at, end, ..item }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '%')
}

/// How long the comment is that `rest` starts with.
fn comment(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if !rest.starts_with("/*") {
        return 0;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// A function that a world exports.
pub(super) struct Target<'r> {
    /// The interface it is in, by its full name.
    pub(super) interface: Option<String>,
    pub(super) func: &'r wit_parser::Function,
}

/// All functions that `world` exports, but those that are asynchronous or belong to a resource: their
/// names in a module are not a person's to write.
pub(super) fn targets(resolve: &Resolve, world: WorldId) -> Vec<Target<'_>> {
    let mut targets = Vec::new();
    let Some(world) = resolve.worlds.get(world) else { return targets };
    for (key, item) in &world.exports {
        match item {
            WorldItem::Function(func) => targets.push(Target { interface: None, func }),
            WorldItem::Interface { id, .. } => {
                let interface = Some(resolve.name_world_key(key));
                let functions = resolve.interfaces.get(*id).map(|interface| &interface.functions);
                for func in functions.into_iter().flat_map(|functions| functions.values()) {
                    targets.push(Target { interface: interface.clone(), func });
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    targets.retain(|target| matches!(target.func.kind, wit_parser::FunctionKind::Freestanding));
    targets
}

/// Whether a value of this type is handed over through memory.
pub(super) fn has_pointers(resolve: &Resolve, ty: &wit_parser::Type) -> bool {
    let pointed = |ty: &wit_parser::Type| has_pointers(resolve, ty);
    let id = match ty {
        wit_parser::Type::String => return true,
        wit_parser::Type::Id(id) => *id,
        _ => return false,
    };
    match resolve.types.get(id).map(|def| &def.kind) {
        Some(TypeDefKind::List(_) | TypeDefKind::Map(..)) => true,
        Some(TypeDefKind::Record(record)) => record.fields.iter().any(|field| pointed(&field.ty)),
        Some(TypeDefKind::Tuple(tuple)) => tuple.types.iter().any(pointed),
        Some(TypeDefKind::Variant(variant)) => {
            variant.cases.iter().filter_map(|case| case.ty.as_ref()).any(pointed)
        }
        Some(TypeDefKind::Option(ty) | TypeDefKind::Type(ty)) => pointed(ty),
        Some(TypeDefKind::FixedLengthList(ty, _)) => pointed(ty),
        Some(TypeDefKind::Result(result)) => result.ok.iter().chain(&result.err).any(pointed),
        _ => false,
    }
}
