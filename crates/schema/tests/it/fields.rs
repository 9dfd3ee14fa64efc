//! Checks that every field of every kind has a golden case with a right value and one with a wrong value. The
//! fields come from the JSON Schema, which is generated from the types that read them, so a new field fails
//! here until it has cases.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use crisol_schema::{Loader, json_schema};
use serde_json::Value;

type Tested<T = ()> = Result<T, Box<dyn Error>>;

/// A field: its kind and its path, with lists as `[]`: `function.wat`, `wasi.env[].id`.
type Field = (String, String);

/// Fields and words in the JSON Schema.
#[derive(Default)]
struct Known {
    fields: BTreeSet<Field>,
    required: BTreeSet<Field>,
    /// Words by field path, for all kinds.
    words: BTreeSet<(String, String)>,
}

impl Known {
    fn new() -> Tested<Self> {
        let schema = json_schema();
        let definitions = schema["$defs"].as_object().ok_or("no definitions")?;
        let branches = definitions["Entry"]["allOf"].as_array().ok_or("no kinds")?;
        let mut known = Self::default();
        for branch in branches {
            let kind = branch["if"]["properties"]["kind"]["const"].as_str().ok_or("no kind")?;
            let fields = branch["then"]["properties"].as_object().ok_or("no fields")?;
            let required = &definitions[kind]["required"];
            for (name, schema) in fields.iter().filter(|(name, _)| !is_head(name)) {
                known.add(kind, name, schema, required, definitions);
            }
            known.inside(kind, "meta", &fields["meta"], definitions);
        }
        Ok(known)
    }

    fn add(
        &mut self,
        kind: &str,
        path: &str,
        schema: &Value,
        required: &Value,
        definitions: &serde_json::Map<String, Value>,
    ) {
        let name = path.rsplit('.').next().unwrap_or(path);
        let field = (kind.to_owned(), path.to_owned());
        if required.as_array().is_some_and(|all| all.iter().any(|one| one == name)) {
            self.required.insert(field.clone());
        }
        self.fields.insert(field);
        self.inside(kind, path, schema, definitions);
    }

    /// Adds the fields inside a value.
    fn inside(
        &mut self,
        kind: &str,
        path: &str,
        schema: &Value,
        definitions: &serde_json::Map<String, Value>,
    ) {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            self.inside(kind, path, &definitions[name], definitions);
        }
        for of in ["anyOf", "oneOf"] {
            for one in schema[of].as_array().into_iter().flatten() {
                self.inside(kind, path, one, definitions);
            }
        }
        if schema["items"].is_object() {
            self.inside(kind, &format!("{path}[]"), &schema["items"], definitions);
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            self.add(kind, &format!("{path}.{name}"), inner, &schema["required"], definitions);
        }
        let words = schema["enum"].as_array().into_iter().flatten();
        for word in words.chain([&schema["const"]]).filter_map(Value::as_str) {
            self.words.insert((path.to_owned(), word.to_owned()));
        }
    }
}

/// Returns true for head fields, which other cases cover.
fn is_head(name: &str) -> bool {
    ["name", "kind", "meta", "data"].contains(&name)
}

/// Fields and words that golden cases cover.
#[derive(Default)]
struct Shown {
    right: BTreeSet<Field>,
    wrong: BTreeSet<Field>,
    missing: BTreeSet<Field>,
    words: BTreeSet<(String, String)>,
}

impl Shown {
    fn new() -> Tested<Self> {
        let mut shown = Self::default();
        for case in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui"))? {
            let path = case?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with("fields-") || path.extension().is_none_or(|end| end != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let value: Value =
                serde_yaml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
            let entries = value["entries"].as_array().ok_or("no entries")?;
            if path.with_extension("json").exists() {
                entries.iter().for_each(|entry| shown.write_down(entry));
            } else {
                shown.check_in(&text, entries)?;
            }
        }
        Ok(shown)
    }

    /// Records all fields of a loaded entry.
    fn write_down(&mut self, entry: &Value) {
        let kind = entry["kind"].as_str().unwrap_or_default();
        let fields = entry.as_object().into_iter().flatten();
        for (name, value) in fields.filter(|(name, _)| *name == "meta" || !is_head(name)) {
            self.value(kind, name, value);
        }
    }

    fn value(&mut self, kind: &str, path: &str, value: &Value) {
        self.right.insert((kind.to_owned(), path.to_owned()));
        match value {
            Value::Array(items) => {
                items.iter().for_each(|item| self.value(kind, &format!("{path}[]"), item));
            }
            Value::Object(fields) => {
                let fields = fields.iter();
                fields.for_each(|(name, item)| self.value(kind, &format!("{path}.{name}"), item));
            }
            Value::String(word) => {
                self.words.insert((path.to_owned(), word.clone()));
            }
            _ => {}
        }
    }

    /// Records the fields with problems.
    fn check_in(&mut self, text: &str, entries: &[Value]) -> Tested {
        let kinds: BTreeMap<String, &str> = entries
            .iter()
            .filter_map(|entry| Some((format!("myns:{}", entry["name"].as_str()?), entry)))
            .map(|(id, entry)| (id, entry["kind"].as_str().unwrap_or_default()))
            .collect();
        let loader = Loader::new().default_namespace("myns".parse()?).file("_index.yaml", text);
        let problems = loader.load_files().err().ok_or("it loads")?;
        for problem in problems.iter() {
            let (Some(entry), Some(field)) = (problem.entry(), problem.field()) else { continue };
            let Some(kind) = kinds.get(entry.as_str()) else { continue };
            let field = numberless(field);
            let seen = match problem.rule().as_str() {
                "missing-field" => &mut self.missing,
                "unknown-field" => continue,
                _ => &mut self.wrong,
            };
            // A wrong item makes its list wrong.
            seen.insert(((*kind).to_owned(), field.trim_end_matches("[]").to_owned()));
            seen.insert(((*kind).to_owned(), field));
        }
        Ok(())
    }
}

/// Returns a path without its indexes.
fn numberless(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).fold(
        String::new(),
        |path, part| {
            if path.is_empty() { part.to_owned() } else { format!("{path}[]{part}") }
        },
    )
}

fn absent<T: Ord + std::fmt::Debug>(
    what: &str,
    wanted: &BTreeSet<T>,
    shown: &BTreeSet<T>,
) -> Vec<String> {
    wanted.difference(shown).map(|one| format!("{what}: {one:?}")).collect()
}

#[test]
fn every_field_is_right_in_one_case_and_wrong_in_another() -> Tested {
    let (known, shown) = (Known::new()?, Shown::new()?);
    assert!(known.fields.len() > 120 && known.required.len() > 25 && known.words.len() > 80);
    let mut lacking = absent("no case has it right", &known.fields, &shown.right);
    lacking.extend(absent("no case has it wrong", &known.fields, &shown.wrong));
    lacking.extend(absent(
        "it must be there, and is missing in no case",
        &known.required,
        &shown.missing,
    ));
    lacking.extend(absent("no case uses the word", &known.words, &shown.words));
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
    Ok(())
}
