//! Checks that the JSON Schema equals the one in `docs/` and agrees with the reader. `BLESS=1` writes it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use crisol_schema::json_schema;
use serde_json::Value;

type Tested = Result<(), Box<dyn Error>>;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn docs_have_the_schema() -> Tested {
    let file = folder().join("../../docs/app.schema.json");
    let found = serde_json::to_string_pretty(&json_schema())? + "\n";
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &found)?;
    }
    let wanted = fs::read_to_string(&file)?;
    assert!(found == wanted, "docs/app.schema.json is behind the types: BLESS=1 writes it");
    Ok(())
}

struct Checker {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Checker {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut compiler = Compiler::new();
        let name = "app.schema.json";
        compiler.add_resource(name, json_schema()).map_err(|error| error.to_string())?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(name, &mut schemas).map_err(|error| error.to_string())?;
        Ok(Self { schemas, index })
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|error| format!("{error:#}"))
    }
}

/// Returns the golden cases of one outcome: the name and the index file as JSON.
fn cases(outcome: &str) -> Result<Vec<(String, Value)>, Box<dyn Error>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder().join("tests/ui"))? {
        let path: PathBuf = entry?.path();
        if path.extension().is_none_or(|extension| extension != outcome) {
            continue;
        }
        let text = fs::read_to_string(path.with_extension("yaml"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Overrides and apps without an index file have no file to validate.
        if text.contains("#--set") || name.starts_with("no-index") {
            continue;
        }
        for file in text.split("#=== ").filter(|file| !file.trim().is_empty()) {
            let body = match file.split_once('\n') {
                Some((path, body)) if path.contains("_index") && !path.starts_with('.') => body,
                Some((path, _)) if path.ends_with(".yaml") || path.contains('/') => continue,
                Some((path, _)) if path.ends_with(".pem") => continue,
                _ => file,
            };
            if let Ok(value) = serde_yaml::from_str::<Value>(body)
                && !value.is_null()
            {
                cases.push((name.clone(), value));
            }
        }
    }
    Ok(cases)
}

#[test]
fn loaded_files_are_valid() -> Tested {
    let checker = Checker::new()?;
    let cases = cases("json")?;
    assert!(cases.len() > 20, "{}", cases.len());
    for (name, value) in cases {
        if let Err(error) = checker.check(&value) {
            return Err(format!("{name}: {error}").into());
        }
    }
    Ok(())
}

#[test]
fn printed_files_are_valid() -> Tested {
    let checker = Checker::new()?;
    for entry in fs::read_dir(folder().join("tests/ui"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let files: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path)?)?;
            for file in files {
                checker.check(&file).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// An editor sees errors in a single field or entry too.
#[test]
fn errors_in_a_single_entry_are_invalid() -> Tested {
    let checker = Checker::new()?;
    let seen = [
        "unknown-field",
        "unknown-kind",
        "missing-field",
        "missing-entries",
        "wrong-type",
        "wrong-type-entries",
        "wrong-type-file",
        "bad-range",
        "bad-hash",
        "version",
        "mixed-data",
        "unknown-value",
        "twenty-mistakes",
    ];
    let cases = cases("err")?;
    for name in seen {
        let mut files = cases.iter().filter(|(case, _)| case == name).peekable();
        assert!(files.peek().is_some(), "no case {name}");
        let valid = files.all(|(_, file)| checker.check(file).is_ok());
        assert!(!valid, "{name} passes the JSON Schema");
    }
    Ok(())
}

/// Editors show these descriptions.
#[test]
fn everything_is_described() {
    fn walk(value: &Value, path: &str, missing: &mut Vec<String>) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            for (name, field) in properties {
                let described = field.get("description").is_some() || field.as_object().is_none();
                let meta = ["kind", "meta", "data"].contains(&name.as_str());
                if !described && !meta {
                    missing.push(format!("{path}/{name}"));
                }
            }
        }
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, inner)| walk(inner, &format!("{path}/{name}"), missing)),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at, inner)| walk(inner, &format!("{path}/{at}"), missing)),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    walk(&json_schema(), "", &mut missing);
    missing.retain(|path| !path.contains("Middleware/anyOf") && !path.ends_with("/command"));
    assert!(missing.is_empty(), "no description: {missing:#?}");
}
