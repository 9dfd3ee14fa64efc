//! The JSON Schema of an index file, made from the types that read it: an editor completes and checks by
//! it, and it cannot say anything else than the reader.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::kinds::KindName;
use crate::parts::RetryFields;

const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$";

/// The JSON Schema (draft 2020-12) of an index file.
///
/// What takes more than one entry (references, routes, unique names) and the finer forms of texts are
/// beyond it: [`crate::Loader`] checks those.
#[must_use]
pub fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds: Vec<(KindName, Value)> =
        KindName::all().map(|kind| (kind, fields(kind, &mut generator))).collect();
    let retry = retry(&mut generator);
    let mut definitions = generator.take_definitions(true);
    definitions.insert("Entry".to_owned(), entry(&kinds));
    definitions.insert("Retry".to_owned(), retry);
    for (kind, fields) in &kinds {
        definitions.insert(kind.as_str().to_owned(), fields.clone());
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Index file of a Crisol app",
        "description": "An `_index.yaml`, `_index.yml` or `_index.json`: entries of the registry.",
        "anyOf": [
            {
                "type": "object",
                "required": ["entries"],
                "additionalProperties": false,
                "patternProperties": {"^x-": true},
                "properties": {
                    "version": {
                        "description": "The version of the format.",
                        "enum": ["1.0", 1.0, "1", null]
                    },
                    "namespace": {
                        "description": "The namespace of the entries. It may be left out when the \
                                        loader is given a default one.",
                        "type": ["string", "null"],
                        "pattern": NAME,
                        "maxLength": 200
                    },
                    "entries": {
                        "description": "The entries.",
                        "type": ["array", "null"],
                        "items": {"$ref": "#/$defs/Entry"}
                    }
                }
            },
            {"type": "array", "items": {"$ref": "#/$defs/Entry"}}
        ],
        "$defs": definitions
    })
}

fn fields(kind: KindName, generator: &mut SchemaGenerator) -> Value {
    let mut schema = (kind.descriptor().fields_schema)(generator).to_value();
    if let Some(schema) = schema.as_object_mut() {
        // A kind without fields has none at all in schemars' output.
        schema.entry("properties").or_insert_with(|| json!({}));
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// `meta.options.retry` of functions.
fn retry(generator: &mut SchemaGenerator) -> Value {
    let mut schema = RetryFields::json_schema(generator).to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// An entry: its head, and then by its kind.
fn entry(kinds: &[(KindName, Value)]) -> Value {
    let names: Vec<Value> = kinds
        .iter()
        .map(|(kind, fields)| json!({"const": kind, "description": fields.get("description")}))
        .collect();
    let by_kind: Vec<Value> = kinds
        .iter()
        .map(|(kind, fields)| {
            json!({
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": of_kind(*kind, fields)
            })
        })
        .collect();
    json!({
        "type": "object",
        "required": ["name", "kind"],
        "properties": {
            "name": {
                "description": "The name of the entry: its id is `namespace:name`.",
                "type": "string",
                "pattern": NAME,
                "maxLength": 200
            },
            "kind": {"description": "What the entry is.", "oneOf": names},
            "meta": {"description": "Anything about the entry.", "type": ["object", "null"]},
            "data": {
                "description": "The fields of the kind; they may also stand beside `name` and `kind`.",
                "type": ["object", "null"]
            }
        },
        "allOf": by_kind
    })
}

/// The fields of a kind, beside the head or under `data`.
fn of_kind(kind: KindName, fields: &Value) -> Value {
    let mut properties = Map::from_iter([
        ("name".to_owned(), json!(true)),
        ("kind".to_owned(), json!(true)),
        ("meta".to_owned(), (kind.descriptor().meta_schema)()),
        (
            "data".to_owned(),
            json!({"anyOf": [{"$ref": format!("#/$defs/{kind}")}, {"type": "null"}]}),
        ),
    ]);
    let own = fields.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    properties.extend(own);
    let required = fields.get("required").cloned().unwrap_or_else(|| json!([]));
    json!({
        "properties": properties,
        "additionalProperties": false,
        "anyOf": [{"required": required}, {"required": ["data"]}]
    })
}
