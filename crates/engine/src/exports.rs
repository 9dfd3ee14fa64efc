//! Exports of a component, and their lookup by `method`.

use std::fmt;

use crisol_core::suggest::{nearest_word, spelling_key};
use crisol_core::{Signature, Type, shorten};
use crisol_wit::Mapping;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// An exported function, top-level or in an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The interface with package and version, as exported; `None` for a top-level function.
    pub interface: Option<String>,
    /// The function's name.
    pub name: String,
    /// Its type as WIT, for messages.
    pub signature: String,
}

/// Error for a method that matches no export, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodError {
    method: String,
    problem: Problem,
    /// The first exports, at most `MOST_LISTED`.
    exports: Vec<Export>,
    /// Number of exports that are not listed.
    more: usize,
}

/// Exports that an error lists, and characters of each. A component may have a million, with names and types
/// of any length, but an error has to stay readable.
const MOST_LISTED: usize = 40;
const LONGEST_LISTED: usize = 400;
/// Exports among which a similar one is searched.
const MAX_COMPARED: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Missing { nearest: Option<String> },
    Ambiguous { candidates: Vec<String>, more: usize },
}

impl Export {
    /// The spelling for `method` in an entry: `name`, or `interface#name`.
    #[must_use]
    pub fn method(&self) -> String {
        method(self.interface.as_deref(), &self.name)
    }
}

impl Export {
    /// Returns true for the entry point of a program, `wasi:cli/run#run`.
    pub(crate) fn is_program(&self, signature: &Signature) -> bool {
        let interface = self.interface.as_deref().and_then(|name| name.split('@').next());
        interface == Some("wasi:cli/run")
            && self.name == "run"
            && signature.params.is_empty()
            && signature.result == Some(Type::Result { ok: None, err: None })
    }
}

fn method(interface: Option<&str>, name: &str) -> String {
    match interface {
        Some(interface) => format!("{interface}#{name}"),
        None => name.to_owned(),
    }
}

/// Location of a function in its component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExportName {
    /// Like [`Export::interface`].
    pub(crate) interface: Option<String>,
    /// Like [`Export::name`].
    pub(crate) name: String,
}

impl ExportName {
    pub(crate) fn method(&self) -> String {
        method(self.interface.as_deref(), &self.name)
    }

    /// Returns true if `method` matches this export under `by`.
    fn is(&self, method: &str, by: NameMatch) -> bool {
        let named = |given: &str| match by {
            NameMatch::Exact => given == self.name,
            NameMatch::Spelling => spelling_key(given) == spelling_key(&self.name),
        };
        let inside = |given: &str, own: &str| match by {
            NameMatch::Exact => given == own,
            NameMatch::Spelling => spelling_key(given) == spelling_key(own),
        };
        match (&self.interface, method.split_once('#')) {
            (None, None) => named(method),
            (Some(own), Some((interface, name))) => {
                named(name) && short_forms(own).any(|form| inside(interface, form))
            }
            // The entry point of a command, by its name in the core module.
            (Some(own), None) => {
                matches!(by, NameMatch::Spelling)
                    && matches!(method, "_start" | "run")
                    && self.name == "run"
                    && short_forms(own).any(|form| form == "wasi:cli/run")
            }
            _ => false,
        }
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.method(), self.signature)
    }
}

#[derive(Clone, Copy)]
enum NameMatch {
    Exact,
    Spelling,
}

/// The spellings of an interface in an entry: with package and version, without the version, without the
/// package, without both.
fn short_forms(interface: &str) -> impl Iterator<Item = &str> {
    let versionless =
        |text: &'_ str| text.split_once('@').map_or(text.len(), |(name, _)| name.len());
    let bare = interface.split_once('/').map_or(interface, |(_, bare)| bare);
    [interface, &interface[..versionless(interface)], bare, &bare[..versionless(bare)]].into_iter()
}

/// The exported functions of a component. A signature is formatted only when a message needs it.
pub(crate) struct Exports {
    places: Vec<ExportName>,
    types: Vec<ComponentFunc>,
}

impl Exports {
    /// Lists all exported functions.
    pub(crate) fn of(engine: &Engine, component: &Component) -> Self {
        let mut exports = Self { places: Vec::new(), types: Vec::new() };
        for (name, item) in component.component_type().exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(func) => exports.add(None, name, func),
                ComponentItem::ComponentInstance(instance) => {
                    for (function, item) in instance.exports(engine) {
                        if let ComponentItem::ComponentFunc(func) = item.ty {
                            exports.add(Some(name), function, func);
                        }
                    }
                }
                _ => {}
            }
        }
        exports
    }

    /// Resolves `method` among `places`; `describe` formats the signature at an index for the error.
    pub(crate) fn find_among<'a>(
        method: &str,
        places: &'a [ExportName],
        describe: impl Fn(usize) -> String,
    ) -> Result<&'a ExportName, MethodError> {
        resolve(method, places)
            .map_err(|problem| MethodError::new(method, problem, places, describe))
    }

    fn add(&mut self, interface: Option<&str>, name: &str, func: ComponentFunc) {
        let interface = interface.map(str::to_owned);
        self.places.push(ExportName { interface, name: name.to_owned() });
        self.types.push(func);
    }

    /// Resolves `method` to one export.
    pub(crate) fn find(&self, method: &str) -> Result<&ExportName, MethodError> {
        Self::find_among(method, &self.places, |at| self.signature(at))
    }

    /// Resolves `method` to one export, for callers that need no error message.
    pub(crate) fn place(&self, method: &str) -> Option<&ExportName> {
        resolve(method, &self.places).ok()
    }

    /// Describes all exports for messages.
    pub(crate) fn describe(&self) -> Vec<Export> {
        let all = self.places.iter().enumerate();
        all.map(|(at, place)| place.export(self.signature(at))).collect()
    }

    fn signature(&self, at: usize) -> String {
        self.types.get(at).map_or_else(String::new, describe)
    }
}

impl ExportName {
    fn export(&self, signature: String) -> Export {
        Export { interface: self.interface.clone(), name: self.name.clone(), signature }
    }
}

/// Resolves `method` to one export: first by exact name, then ignoring case and separators.
fn resolve<'a>(method: &str, places: &'a [ExportName]) -> Result<&'a ExportName, Problem> {
    for by in [NameMatch::Exact, NameMatch::Spelling] {
        let mut found = places.iter().filter(|place| place.is(method, by));
        let (first, more) = (found.next(), found.next());
        match (first, more) {
            (None, _) => {}
            (Some(place), None) => return Ok(place),
            (Some(_), Some(_)) => {
                let candidates = places.iter().filter(|place| place.is(method, by));
                let more = candidates.clone().count().saturating_sub(MOST_LISTED);
                let candidates = candidates.take(MOST_LISTED).map(ExportName::method).collect();
                return Err(Problem::Ambiguous { candidates, more });
            }
        }
    }
    Err(Problem::Missing { nearest: nearest(method, places) })
}

/// The most similar export, if any is similar enough. A function of the same name in an interface ranks first.
fn nearest(method: &str, places: &[ExportName]) -> Option<String> {
    let inner = places.iter().find(|place| spelling_key(&place.name) == spelling_key(method));
    if let Some(inner) = inner {
        return Some(inner.method());
    }
    let places = places.get(..MAX_COMPARED).unwrap_or(places);
    let in_full = method.contains('#');
    let spelling = |place: &ExportName| if in_full { place.method() } else { place.name.clone() };
    let spellings: Vec<String> = places.iter().map(spelling).collect();
    let near = nearest_word(method, &spellings.iter().map(String::as_str).collect::<Vec<_>>())?;
    let at = spellings.iter().position(|spelling| spelling == near)?;
    places.get(at).map(ExportName::method)
}

/// Looks up the type and index of an export, so that calls need no search.
pub(crate) fn locate(
    component: &Component,
    place: &ExportName,
) -> Option<(ComponentFunc, ComponentExportIndex)> {
    let instance = match &place.interface {
        Some(interface) => Some(component.get_export_index(None, interface.as_str())?),
        None => None,
    };
    match component.get_export(instance.as_ref(), place.name.as_str())? {
        (ComponentItem::ComponentFunc(func), index) => Some((func, index)),
        _ => None,
    }
}

/// The export at `place` with its signature.
pub(crate) fn shown(place: &ExportName, mapping: &Mapping) -> Export {
    place.export(mapping.signature().to_string())
}

fn describe(func: &ComponentFunc) -> String {
    match Mapping::new(func) {
        Ok(mapping) => mapping.signature().to_string(),
        Err(_) => {
            let params: Vec<_> = func.params().map(|(name, _)| format!("{name}: …")).collect();
            format!("func({})", params.join(", "))
        }
    }
}

fn and_more(f: &mut fmt::Formatter<'_>, more: usize) -> fmt::Result {
    if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
}

impl MethodError {
    /// Returns true if the component exports no function at all.
    #[must_use]
    pub fn exports_nothing(&self) -> bool {
        self.exports.is_empty()
    }

    fn new(
        method: &str,
        problem: Problem,
        places: &[ExportName],
        describe: impl Fn(usize) -> String,
    ) -> Self {
        let listed = places.iter().enumerate().take(MOST_LISTED);
        let exports = listed.map(|(at, place)| place.export(describe(at))).collect();
        let more = places.len().saturating_sub(MOST_LISTED);
        Self { method: method.to_owned(), problem, exports, more }
    }
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, problem, exports, more } = self;
        match problem {
            Problem::Ambiguous { candidates, more } => {
                write!(f, "`{method}` is an ambiguous export: write one of ")?;
                let candidates: Vec<_> =
                    candidates.iter().map(|candidate| shorten(candidate, LONGEST_LISTED)).collect();
                write!(f, "`{}`", candidates.join("`, `"))?;
                return and_more(f, *more);
            }
            Problem::Missing { nearest: Some(near) } => {
                write!(f, "unknown export `{method}` (did you mean `{near}`?)")?;
            }
            Problem::Missing { nearest: None } => write!(f, "unknown export `{method}`")?,
        }
        if exports.is_empty() {
            return write!(f, "; the component exports no function");
        }
        write!(f, "; the component exports ")?;
        for (at, export) in exports.iter().enumerate() {
            write!(
                f,
                "{}`{}`",
                if at > 0 { ", " } else { "" },
                shorten(&export.to_string(), LONGEST_LISTED)
            )?;
        }
        and_more(f, *more)
    }
}

impl std::error::Error for MethodError {}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn place(path: &str) -> ExportName {
        let (interface, name) = match path.split_once('#') {
            Some((interface, name)) => (Some(interface.to_owned()), name),
            None => (None, path),
        };
        ExportName { interface, name: name.to_owned() }
    }

    fn check(method: &str, exports: &[&str], expected: Expect) {
        let places: Vec<_> = exports.iter().map(|path| place(path)).collect();
        let shown = match resolve(method, &places) {
            Ok(place) => place.method(),
            Err(problem) => {
                MethodError::new(method, problem, &places, |_| "func()".to_owned()).to_string()
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn exact_name_wins_over_another_spelling() {
        check("add_two", &["add-two", "add_two"], expect!["add_two"]);
        check("add_two", &["add-two"], expect!["add-two"]);
        check("Add-Two", &["add_two"], expect!["add_two"]);
        check("addTwo", &["add-two"], expect!["add-two"]);
        check("ADD_TWO", &["add-two"], expect!["add-two"]);
        for method in ["add.two", "add two", "add/two", "add__two", "_add_two", "add-two-"] {
            let places = [place("add-two")];
            assert!(resolve(method, &places).is_err(), "{method}");
        }
    }

    #[test]
    fn an_interface_goes_by_any_of_its_forms() {
        let exports = &["wippy:test/test-sleep@0.1.0#sleep-ms"];
        for interface in [
            "wippy:test/test-sleep@0.1.0",
            "wippy:test/test-sleep",
            "test-sleep@0.1.0",
            "test-sleep",
            "test_sleep",
        ] {
            check(
                &format!("{interface}#sleep-ms"),
                exports,
                expect!["wippy:test/test-sleep@0.1.0#sleep-ms"],
            );
        }
        check("test-sleep#sleep_ms", exports, expect!["wippy:test/test-sleep@0.1.0#sleep-ms"]);
    }

    #[test]
    fn the_start_of_a_command_is_its_run() {
        let exports = &["answer", "wasi:cli/run@0.2.12#run"];
        check("_start", exports, expect!["wasi:cli/run@0.2.12#run"]);
        check("run", exports, expect!["wasi:cli/run@0.2.12#run"]);
        check("run", &["run", "wasi:cli/run@0.2.12#run"], expect!["run"]);
    }

    #[test]
    fn missing_and_ambiguous_methods_list_exports() {
        check(
            "sleep-ms",
            &["a:b/test-sleep#sleep-ms"],
            expect![
                "unknown export `sleep-ms` (did you mean `a:b/test-sleep#sleep-ms`?); the component exports `a:b/test-sleep#sleep-ms: func()`"
            ],
        );
        check(
            "x#go",
            &["a:a/x#go", "b:b/x#go"],
            expect!["`x#go` is an ambiguous export: write one of `a:a/x#go`, `b:b/x#go`"],
        );
        check(
            "transform",
            &["transform-users", "aggregate"],
            expect![
                "unknown export `transform` (did you mean `transform-users`?); the component exports `transform-users: func()`, `aggregate: func()`"
            ],
        );
        check("q", &[], expect!["unknown export `q`; the component exports no function"]);
    }
}
