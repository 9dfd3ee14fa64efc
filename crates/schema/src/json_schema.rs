//! JSON Schema of an index file, generated from the types that read it, so that editors and the reader agree.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::kinds::KindName;
use crate::parts::RetryFields;

const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$";

/// Returns the JSON Schema (draft 2020-12) of an index file.
///
/// It covers one entry at a time. Checks across entries (references, routes, unique names) and the details of
/// text formats are left to [`crate::Loader`].
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
                        "description": "Version of the format.",
                        "enum": ["1.0", 1.0, "1", null]
                    },
                    "namespace": {
                        "description": "Namespace of the entries. It may be omitted if the loader has \
                                        a default namespace.",
                        "type": ["string", "null"],
                        "pattern": NAME,
                        "maxLength": 200
                    },
                    "entries": {
                        "description": "Entries of the file.",
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
        // schemars omits `properties` for a kind without fields.
        schema.entry("properties").or_insert_with(|| json!({}));
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// Returns the schema of `meta.options.retry` of functions.
fn retry(generator: &mut SchemaGenerator) -> Value {
    let mut schema = RetryFields::json_schema(generator).to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// Returns the schema of an entry: its head, then one branch for each kind.
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
                "description": "Name of the entry. Its id is `namespace:name`.",
                "type": "string",
                "pattern": NAME,
                "maxLength": 200
            },
            "kind": {"description": "Kind of the entry.", "oneOf": names},
            "meta": {"description": "Free-form map about the entry.", "type": ["object", "null"]},
            "data": {
                "description": "Fields of the kind. They may also be beside `name` and `kind`.",
                "type": ["object", "null"]
            }
        },
        "allOf": by_kind
    })
}

/// Returns the schema of a kind's fields, beside the head or under `data`.
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
