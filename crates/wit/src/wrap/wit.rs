//! Parsing of WIT text: a whole document, or the fragment in an entry's `wit` field.
//!
//! A fragment is put into a world without moving its lines, so errors point into the user's own text. Interfaces go
//! into a file of their own: a world cannot contain them.

use std::borrow::Cow;

use wit_parser::{Function, FunctionKind, Resolve, SourceMap, TypeDefKind, WorldId, WorldItem};

use super::WrapError;
use super::items::{Item, ItemKind, items};
use super::module::Outside;

/// Most bytes of WIT text: the parser's spans are 32 bits wide.
const MAX_TEXT: usize = 1 << 20;

/// Name of the user's text in messages.
const FILE: &str = "wit";

/// Parses `text` and selects its world, or makes one.
pub(super) fn parse(text: &str) -> Result<(Resolve, WorldId), WrapError> {
    if text.len() > MAX_TEXT {
        let message = format!("it is {} bytes long, and {MAX_TEXT} are allowed", text.len());
        return Err(WrapError::Wit { message });
    }
    let items = items(text)?;
    let is_document =
        items.iter().any(|item| matches!(item.kind, ItemKind::World | ItemKind::Package));
    let files = if is_document { vec![document(text, &items)] } else { split(text, &items) };
    resolve(text, &files)
}

/// File for the parser: the user's text with insertions.
struct File {
    name: &'static str,
    contents: String,
    /// Bytes before the user's text.
    prefix: usize,
    /// Positions in the user's text where [`EXPORT`] was inserted, ascending.
    exports_at: Vec<usize>,
}

/// Keyword that turns a declared function into an export of the world.
const EXPORT: &str = "export ";

impl File {
    /// Converts a position here to one in the user's text.
    fn origin(&self, at: usize) -> usize {
        let at = at.saturating_sub(self.prefix);
        let before = |put: &usize, nth: usize| *put + (nth + 1) * EXPORT.len() <= at;
        let count = self.exports_at.iter().enumerate().take_while(|(nth, put)| before(put, *nth));
        at - count.count() * EXPORT.len()
    }
}

fn resolve(text: &str, files: &[File]) -> Result<(Resolve, WorldId), WrapError> {
    let mut sources = SourceMap::new();
    for file in files {
        sources.push_str(file.name, file.contents.as_str());
    }
    let wrong = |message| WrapError::Wit { message };
    let group = sources.parse().map_err(|(sources, error)| {
        wrong(located(text, files, &sources, error.kind().span(), &error.kind().to_string()))
    })?;
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let package = resolve.push_group(group).map_err(|error| {
        let sources = &resolve.source_map;
        wrong(located(text, files, sources, error.kind().span(), &error.kind().to_string()))
    })?;
    let world =
        resolve.select_world(&[package], None).map_err(|error| wrong(format!("{error:#}")))?;
    Ok((resolve, world))
}

/// Message with the line and place in the user's own text.
fn located(
    text: &str,
    files: &[File],
    sources: &SourceMap,
    span: wit_parser::Span,
    message: &str,
) -> String {
    let Some(place) = sources.resolve_span(span) else { return message.to_owned() };
    let Some(file) = files.iter().find(|file| file.name == place.path) else {
        return message.to_owned();
    };
    let at = file.origin(place.range.start).min(text.len());
    let before = text.get(..at).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let width = place.range.len().saturating_sub(1);
    format!(
        "{message}\n     --> {FILE}:{number}:{column}\n      |\n {number:4} | {line}\n      | \
         {marker:>column$}{rest}",
        marker = "^",
        rest = "-".repeat(width.min(line.len()))
    )
}

/// Completes a document with parts that it may omit: the package, and a world that exports its interfaces.
fn document(text: &str, items: &[Item]) -> File {
    let has = |kind| items.iter().any(|item| item.kind == kind);
    let package = if has(ItemKind::Package) { "" } else { "package crisol:guest; " };
    let world = if has(ItemKind::World) {
        String::new()
    } else {
        format!("\nworld crisol-guest {{ {}}}", exports(text, items))
    };
    let contents = format!("{package}{text}{world}");
    File { name: FILE, contents, prefix: package.len(), exports_at: Vec::new() }
}

/// Export items for all interfaces with functions.
fn exports(text: &str, items: &[Item]) -> String {
    let interfaces = items.iter().filter(|item| item.kind == ItemKind::Interface);
    let has_functions =
        |item: &&Item| ["func", "constructor"].iter().any(|word| item.text(text).contains(word));
    let callable = interfaces.filter(has_functions);
    let names: Vec<&str> = callable.map(|item| item.name.as_str()).collect();
    names.iter().map(|name| format!("export {name}; ")).collect()
}

/// Splits a fragment into its interfaces, if there are any, and a world with all other items.
fn split(text: &str, items: &[Item]) -> Vec<File> {
    let mut interfaces = blanked(text);
    let mut world = text.to_owned();
    let mut exports_at = Vec::new();
    // From the end, so that insertions do not move the items still to come.
    for item in items.iter().rev() {
        let range = item.start..item.end;
        match item.kind {
            ItemKind::Interface => {
                interfaces.replace_range(range.clone(), item.text(text));
                world.replace_range(range, &blanked(item.text(text)));
            }
            ItemKind::Function => {
                world.insert_str(item.name_at, EXPORT);
                exports_at.push(item.name_at);
            }
            _ => {}
        }
    }
    exports_at.reverse();
    let explicit = items.iter().any(|item| item.kind == ItemKind::Export);
    let exports = if explicit { String::new() } else { exports(text, items) };
    let package = "package crisol:guest; ";
    let before = format!("{package}world crisol-guest {{ ");
    let contents = format!("{before}{world}\n{exports}}}");
    let mut files = vec![File { name: FILE, contents, prefix: before.len(), exports_at }];
    if items.iter().any(|item| item.kind == ItemKind::Interface) {
        let contents = format!("{package}{interfaces}");
        let (prefix, exports_at) = (package.len(), Vec::new());
        files.push(File { name: "wit (interfaces)", contents, prefix, exports_at });
    }
    files
}

/// Replaces all characters but line ends by spaces: the length is the same, so positions stay.
fn blanked(text: &str) -> String {
    let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    text.bytes().map(blank).collect()
}

/// Function that a world exports.
pub(super) struct Target<'r> {
    /// Full name of its interface; `None` outside of interfaces.
    pub(super) interface: Option<String>,
    pub(super) func: &'r Function,
}

impl Target<'_> {
    /// Name that the encoder searches among the module's exports.
    pub(super) fn core_name(&self) -> Cow<'_, str> {
        self.func.legacy_core_export_name(self.interface.as_deref())
    }

    /// Returns true for an ordinary function. Any other is skipped if the module has the exports of a bindings
    /// generator for it; else a person wrote it, and the error says so.
    fn is_ordinary(&self, outside: &Outside) -> Result<bool, WrapError> {
        let what = match self.func.kind {
            FunctionKind::Freestanding => return Ok(true),
            FunctionKind::AsyncFreestanding
            | FunctionKind::AsyncMethod(_)
            | FunctionKind::AsyncStatic(_) => {
                "an async function: a module's export runs to its end, so write `func` without `async`"
            }
            FunctionKind::Method(_) | FunctionKind::Static(_) | FunctionKind::Constructor(_) => {
                "a function of a resource, whose handles have no plain value: declare plain functions instead"
            }
        };
        // Asynchronous functions have a mark; functions of a resource have names that a person does not write.
        let marks: &[&str] = if self.func.kind.is_async() {
            &["[async-lift]", "[async-lift-stackful]"]
        } else {
            &[""]
        };
        let name = self.core_name();
        let is_there = |mark: &&str| outside.function(&format!("{mark}{name}")).is_some();
        if outside.has_metadata || marks.iter().any(is_there) {
            return Ok(false);
        }
        Err(WrapError::NotCallable { function: self.func.name.clone(), what })
    }
}

/// Functions that `world` exports, without asynchronous ones and those of resources: bindings generators write their
/// export names.
pub(super) fn targets<'r>(
    outside: &Outside,
    resolve: &'r Resolve,
    world: WorldId,
) -> Result<Vec<Target<'r>>, WrapError> {
    let mut targets = Vec::new();
    let Some(world) = resolve.worlds.get(world) else { return Ok(targets) };
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
    let mut ordinary = Vec::with_capacity(targets.len());
    for target in targets {
        if target.is_ordinary(outside)? {
            ordinary.push(target);
        }
    }
    Ok(ordinary)
}

/// Returns true if a value of this type goes through memory.
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
