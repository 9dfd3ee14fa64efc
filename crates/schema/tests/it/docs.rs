//! Generates the reference in `docs/app-format.md` from the JSON Schema, and so from the types that read
//! files. `BLESS=1` writes it.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crisol_schema::json_schema;
use serde_json::{Map, Value};

const BEGIN: &str = "<!-- reference: generated from the types; BLESS=1 writes it -->\n";
const END: &str = "<!-- end of the reference -->\n";

type Tested = Result<(), Box<dyn Error>>;

struct Reference<'s> {
    definitions: &'s Map<String, Value>,
    /// Nested maps, in order of first use; each gets a section of its own.
    nested: Vec<&'s str>,
    seen: BTreeSet<&'s str>,
    out: String,
}

fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or("");
    text.replace('\n', " ").replace('|', "\\|")
}

impl<'s> Reference<'s> {
    /// Describes the values of a field in a few words.
    fn kind_of(&mut self, schema: &'s Value) -> String {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or(name);
            let target = self.definitions.get(name).unwrap_or(&Value::Null);
            if target.get("properties").is_none() {
                return self.kind_of(target);
            }
            if self.seen.insert(name) {
                self.nested.push(name);
            }
            let title = title(name);
            return format!("[{title}](#{})", title.to_lowercase().replace(' ', "-"));
        }
        for list in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(list).and_then(Value::as_array) {
                let mut kinds: Vec<String> = Vec::new();
                for option in options {
                    let kind = self.kind_of(option);
                    if kind != "null" && !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                return kinds.join(" or ");
            }
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return format!("`{word}`");
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> =
                words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
            return if words.len() > 20 { "token".to_owned() } else { words.join(", ") };
        }
        self.plain(schema)
    }

    fn plain(&mut self, schema: &'s Value) -> String {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec!["any"],
        };
        let mut words = Vec::new();
        for one in types.into_iter().filter(|one| *one != "null") {
            words.push(match one {
                "string" => "text".to_owned(),
                "boolean" => "true, false".to_owned(),
                "object" if schema.get("additionalProperties").is_some_and(Value::is_object) => {
                    "map of names and values".to_owned()
                }
                "object" => "map".to_owned(),
                "array" => match schema.get("items") {
                    Some(items) => format!("list of {}", self.kind_of(items)),
                    None => "list".to_owned(),
                },
                "integer" => match (schema.get("minimum"), schema.get("maximum")) {
                    (Some(min), Some(max)) => format!("{min} … {max}"),
                    _ => "whole number".to_owned(),
                },
                other => other.to_owned(),
            });
        }
        if words.is_empty() { "null".to_owned() } else { words.join(" or ") }
    }

    fn table(&mut self, schema: &'s Value) -> Result<(), std::fmt::Error> {
        let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
            return Ok(());
        };
        if fields.is_empty() {
            return self.out.write_str("\nNo fields.\n");
        }
        let required = schema.get("required").and_then(Value::as_array);
        self.out.write_str("\n| field | required | value | |\n|---|---|---|---|\n")?;
        for (name, field) in fields {
            let needed = required.is_some_and(|names| names.iter().any(|one| one == name.as_str()));
            let kind = self.kind_of(field);
            let needed = if needed { "yes" } else { "" };
            writeln!(self.out, "| `{name}` | {needed} | {kind} | {} |", description(field))?;
        }
        Ok(())
    }

    fn section(&mut self, heading: &str, schema: &'s Value) -> Result<(), std::fmt::Error> {
        write!(self.out, "\n### {heading}\n\n{}\n", description(schema))?;
        self.table(schema)
    }
}

/// Returns the title of a definition: `Env` for `EnvFields`, the name itself for kinds.
fn title(definition: &str) -> &str {
    definition.strip_suffix("Fields").unwrap_or(definition)
}

fn reference(schema: &Value) -> Result<String, Box<dyn Error>> {
    let definitions = schema.get("$defs").and_then(Value::as_object).ok_or("no $defs")?;
    let kinds = schema.pointer("/$defs/Entry/properties/kind/oneOf").and_then(Value::as_array);
    let mut reference =
        Reference { definitions, nested: Vec::new(), seen: BTreeSet::new(), out: String::new() };
    for kind in kinds.ok_or("no kinds")?.iter().filter_map(|kind| kind.get("const")?.as_str()) {
        let fields = definitions.get(kind).ok_or("a kind without fields")?;
        reference.section(&format!("`{kind}`"), fields)?;
    }
    // Part of `meta`, so no field of a kind refers to it.
    reference.nested.push("Retry");
    let mut at = 0;
    while let Some(name) = reference.nested.get(at).copied() {
        at += 1;
        let fields = definitions.get(name).ok_or("a reference to nothing")?;
        reference.section(title(name), fields)?;
    }
    Ok(reference.out)
}

#[test]
fn the_reference_matches_the_types() -> Tested {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/app-format.md");
    let text = fs::read_to_string(&file)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("no beginning of the reference")?;
    let (_, after) = rest.split_once(END).ok_or("no end of the reference")?;
    let wanted = format!("{before}{BEGIN}{}\n{END}{after}", reference(&json_schema())?);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &wanted)?;
        return Ok(());
    }
    assert!(text == wanted, "docs/app-format.md is behind the types: BLESS=1 writes it");
    Ok(())
}
