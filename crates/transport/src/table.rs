//! The binding rules as text, so that the documentation prints the same rules that the code evaluates.

use crate::{pairs, problem, reply, request, several, single, text, untyped};

/// A table of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name of the table in the documentation.
    pub name: &'static str,
    /// Titles of the columns.
    pub columns: Vec<&'static str>,
    /// Rows, each as long as `columns`, in Markdown.
    pub rows: Vec<Vec<String>>,
}

fn table<T>(
    name: &'static str,
    columns: &[&'static str],
    rules: &[T],
    row: impl Fn(&T) -> Vec<&str>,
) -> Table {
    let rows = rules.iter().map(|rule| row(rule).into_iter().map(str::to_owned).collect());
    Table { name, columns: columns.to_vec(), rows: rows.collect() }
}

/// All tables of the binding, in the documentation's order.
#[must_use]
pub fn tables() -> Vec<Table> {
    let single = table("one parameter", &["parameter", "gets"], single::RULES, |rule| {
        vec![rule.when, rule.gets]
    });
    let several = table("several parameters", &["source", "gives"], several::SOURCES, |source| {
        vec![source.place, source.gives]
    });
    let parts = table("parts of a request", &["field", "types", "holds"], request::PARTS, |part| {
        vec![part.name, part.types, part.holds]
    });
    let shapes = table("shapes of pairs", &["type", "holds"], pairs::SHAPES, |shape| {
        vec![shape.types, shape.holds]
    });
    let texts =
        table("texts", &["type", "is written"], text::RULES, |rule| vec![rule.types, rule.written]);
    let results = table("results", &["result", "response"], reply::RULES, |rule| {
        vec![rule.when, rule.response]
    });
    let untyped_request = table("untyped request", &["field", "holds"], untyped::PARTS, |part| {
        vec![part.name, part.holds]
    });
    let untyped_results =
        table("untyped results", &["result", "response"], untyped::RULES, |rule| {
            vec![rule.when, rule.response]
        });
    let typed = [single, several, parts, shapes, texts, results];
    typed.into_iter().chain([untyped_request, untyped_results, statuses()]).collect()
}

fn statuses() -> Table {
    let row = |(_, status, when): &(_, http::StatusCode, &'static str)| {
        let reason = status.canonical_reason().unwrap_or_default();
        vec![format!("{} {reason}", status.as_u16()), (*when).to_owned()]
    };
    Table {
        name: "statuses",
        columns: vec!["status", "when"],
        rows: problem::CAUSES.iter().map(row).collect(),
    }
}
