//! The functions that a component exports, and which of them a method means.

use std::fmt;

use crisol_wit::{Mapping, kebab};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// A function that a component exports, by itself or in an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The interface with package and version, as exported; `None` for a function by itself.
    pub interface: Option<String>,
    /// The function's name.
    pub name: String,
    /// Its type as WIT, for messages.
    pub signature: String,
}

/// Why a method names no function, or not one alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodError {
    method: String,
    problem: Problem,
    exports: Vec<Export>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Missing { nearest: Option<String> },
    Ambiguous { candidates: Vec<String> },
}

impl Export {
    /// How an entry writes it in `method`: `name`, or `interface#name`.
    #[must_use]
    pub fn method(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether this is what `method` means when read as strictly as `reading` says.
    fn is(&self, method: &str, reading: Reading) -> bool {
        let named = |given: &str| match reading {
            Reading::Exact => given == self.name,
            // The fold that names exports of wrapped modules, so that `addTwo` finds its `add-two`.
            Reading::Folded => kebab(given) == kebab(&self.name),
        };
        let inside = |given: &str, own: &str| match reading {
            Reading::Exact => given == own,
            Reading::Folded => fold(given) == fold(own),
        };
        match (&self.interface, method.split_once('#')) {
            (None, None) => named(method),
            (Some(own), Some((interface, name))) => {
                named(name) && short_forms(own).any(|form| inside(interface, form))
            }
            // The entry point of a command, by the name that it had in its core module.
            (Some(own), None) => {
                matches!(reading, Reading::Folded)
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
enum Reading {
    Exact,
    Folded,
}

/// The ways in which an entry may write an interface: with package and version, without the version,
/// without the package, without both.
fn short_forms(interface: &str) -> impl Iterator<Item = &str> {
    let versionless =
        |text: &'_ str| text.split_once('@').map_or(text.len(), |(name, _)| name.len());
    let bare = interface.split_once('/').map_or(interface, |(_, bare)| bare);
    [interface, &interface[..versionless(interface)], bare, &bare[..versionless(bare)]].into_iter()
}

/// WIT names are kebab-case, YAML and core exports often snake_case.
fn fold(name: &str) -> String {
    name.replace('_', "-").to_ascii_lowercase()
}

/// Finds the one export that `method` means: read exactly first, then with `_` for `-` and without
/// regard to case.
pub(crate) fn resolve(method: &str, exports: Vec<Export>) -> Result<Export, MethodError> {
    for reading in [Reading::Exact, Reading::Folded] {
        let mut found = exports.iter().filter(|export| export.is(method, reading));
        let (first, more) = (found.next(), found.next());
        match (first, more) {
            (None, _) => {}
            (Some(export), None) => return Ok(export.clone()),
            (Some(_), Some(_)) => {
                let candidates = exports.iter().filter(|export| export.is(method, reading));
                let candidates = candidates.map(Export::method).collect();
                let problem = Problem::Ambiguous { candidates };
                return Err(MethodError { method: method.to_owned(), problem, exports });
            }
        }
    }
    let problem = Problem::Missing { nearest: nearest(method, &exports) };
    Err(MethodError { method: method.to_owned(), problem, exports })
}

/// The method most like `method`, if any is much like it. A function of that very name in an
/// interface is the likeliest of all.
fn nearest(method: &str, exports: &[Export]) -> Option<String> {
    const ALIKE: f64 = 0.75;
    let likeness = |export: &Export| {
        let inner = fold(&export.name) == fold(method);
        let whole = strsim::jaro_winkler(&fold(method), &fold(&export.method()));
        let bare = strsim::jaro_winkler(&fold(method), &fold(&export.name));
        if inner { 1.0 } else { whole.max(bare) }
    };
    exports
        .iter()
        .map(|export| (likeness(export), export))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, export)| export.method())
}

/// Lists every function that a component exports.
pub(crate) fn list(engine: &Engine, component: &Component) -> Vec<Export> {
    let mut exports = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(func) => exports.push(Export {
                interface: None,
                name: name.to_owned(),
                signature: describe(&func),
            }),
            ComponentItem::ComponentInstance(instance) => {
                for (function, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(func) = item.ty {
                        exports.push(Export {
                            interface: Some(name.to_owned()),
                            name: function.to_owned(),
                            signature: describe(&func),
                        });
                    }
                }
            }
            _ => {}
        }
    }
    exports
}

/// Finds an export in its component, for calls to go to it without a search.
pub(crate) fn locate(
    component: &Component,
    export: &Export,
) -> Option<(ComponentFunc, ComponentExportIndex)> {
    let instance = match &export.interface {
        Some(interface) => Some(component.get_export_index(None, interface.as_str())?),
        None => None,
    };
    match component.get_export(instance.as_ref(), export.name.as_str())? {
        (ComponentItem::ComponentFunc(func), index) => Some((func, index)),
        _ => None,
    }
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

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, problem, exports } = self;
        match problem {
            Problem::Ambiguous { candidates } => {
                write!(f, "`{method}` means more than one export: write one of ")?;
                return write!(f, "`{}`", candidates.join("`, `"));
            }
            Problem::Missing { nearest: Some(near) } => {
                write!(f, "there is no export `{method}` (did you mean `{near}`?)")?;
            }
            Problem::Missing { nearest: None } => write!(f, "there is no export `{method}`")?,
        }
        if exports.is_empty() {
            return write!(f, "; the component exports no function");
        }
        write!(f, "; the component exports ")?;
        for (at, export) in exports.iter().enumerate() {
            write!(f, "{}`{export}`", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for MethodError {}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn export(path: &str) -> Export {
        let (interface, name) = match path.split_once('#') {
            Some((interface, name)) => (Some(interface.to_owned()), name),
            None => (None, path),
        };
        Export { interface, name: name.to_owned(), signature: "func()".to_owned() }
    }

    fn check(method: &str, exports: &[&str], expected: Expect) {
        let shown = match resolve(method, exports.iter().map(|path| export(path)).collect()) {
            Ok(export) => export.method(),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn an_exact_name_wins_over_a_folded_one() {
        check("add_two", &["add-two", "add_two"], expect!["add_two"]);
        check("add_two", &["add-two"], expect!["add-two"]);
        check("Add-Two", &["add_two"], expect!["add_two"]);
        check("addTwo", &["add-two"], expect!["add-two"]);
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
    fn no_match_and_more_than_one_say_what_there_is() {
        check(
            "sleep-ms",
            &["a:b/test-sleep#sleep-ms"],
            expect![
                "there is no export `sleep-ms` (did you mean `a:b/test-sleep#sleep-ms`?); the component exports `a:b/test-sleep#sleep-ms: func()`"
            ],
        );
        check(
            "x#go",
            &["a:a/x#go", "b:b/x#go"],
            expect!["`x#go` means more than one export: write one of `a:a/x#go`, `b:b/x#go`"],
        );
        check(
            "transform",
            &["transform-users", "aggregate"],
            expect![
                "there is no export `transform` (did you mean `transform-users`?); the component exports `transform-users: func()`, `aggregate: func()`"
            ],
        );
        check("q", &[], expect!["there is no export `q`; the component exports no function"]);
    }
}
