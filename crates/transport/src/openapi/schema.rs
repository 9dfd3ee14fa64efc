//! WIT types as JSON Schema (2020-12), following the mapping of values to JSON.

use crisol_core::{Case, Field, Type};
use serde_json::{Map, Value as Json, json};

use crate::text::{integer_range, is_bytes};

/// Direction of a value. Input is accepted in more forms than output is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// Schema of a type.
pub(super) fn of(ty: &Type, direction: Direction) -> Json {
    match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::F32 => float(Some(f64::from(f32::MAX))),
        Type::F64 => float(None),
        Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Type::String => json!({"type": "string"}),
        Type::List(item) if is_bytes(ty) && direction == Direction::In => {
            json!({"anyOf": [{"type": "array", "items": of(item, direction)}, {"type": "string"}]})
        }
        // Some formats do not distinguish an empty list from an empty map, so both are accepted.
        Type::List(item) if direction == Direction::In => json!({"anyOf": [
            {"type": "array", "items": of(item, direction)},
            {"type": "object", "maxProperties": 0}
        ]}),
        Type::List(item) => json!({"type": "array", "items": of(item, direction)}),
        Type::FixedList(item, length) => {
            json!({"type": "array", "items": of(item, direction), "minItems": length, "maxItems": length})
        }
        Type::Map(key, value) => map(key, value, direction),
        Type::Tuple(items) => tuple(items.iter(), direction),
        Type::Record(fields) => record(fields, direction),
        Type::Variant(cases) => variant(cases, direction),
        Type::Enum(names) => json!({"enum": names}),
        Type::Option(some) => option(some, direction),
        Type::Result { ok, err } => {
            let side = |name: &str, ty: &Option<Box<Type>>| {
                single(name, ty.as_ref().map_or(json!({"type": "null"}), |ty| of(ty, direction)))
            };
            json!({"oneOf": [side("ok", ok), side("err", err)]})
        }
        Type::Flags(names) => {
            json!({"type": "array", "items": {"enum": names}, "uniqueItems": true})
        }
        other => {
            integer_range(other).map_or(json!({}), |(least, greatest)| integer(least, greatest))
        }
    }
}

/// Schema of an array with one value for each type.
pub(super) fn tuple<'a>(
    items: impl ExactSizeIterator<Item = &'a Type>,
    direction: Direction,
) -> Json {
    let length = items.len();
    let items: Vec<Json> = items.map(|item| of(item, direction)).collect();
    let mut schema = json!({"type": "array", "minItems": length, "maxItems": length});
    if length > 0 {
        schema["prefixItems"] = items.into();
    }
    schema
}

/// Schema of an object with these fields only; optional fields may be absent in input.
pub(super) fn record(fields: &[Field], direction: Direction) -> Json {
    let properties: Map<String, Json> =
        fields.iter().map(|field| (field.name.clone(), of(&field.ty, direction))).collect();
    let needed =
        |field: &&Field| direction == Direction::Out || !matches!(field.ty, Type::Option(_));
    let required: Vec<&str> =
        fields.iter().filter(needed).map(|field| field.name.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    })
}

fn integer(least: i128, greatest: i128) -> Json {
    // All but the maximum of `u64` fit.
    let bound = |bound: i128| i64::try_from(bound).map_or(json!(u64::MAX), |bound| json!(bound));
    json!({"type": "integer", "minimum": bound(least), "maximum": bound(greatest)})
}

fn float(greatest: Option<f64>) -> Json {
    let number = match greatest {
        Some(greatest) => json!({"type": "number", "minimum": -greatest, "maximum": greatest}),
        None => json!({"type": "number"}),
    };
    json!({"anyOf": [number, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
}

fn option(some: &Type, direction: Direction) -> Json {
    let some = match some {
        // An option of an option must distinguish its two nones.
        Type::Option(_) => single("some", of(some, direction)),
        other => of(other, direction),
    };
    json!({"anyOf": [some, {"type": "null"}]})
}

fn variant(cases: &[Case], direction: Direction) -> Json {
    let bare: Vec<&str> =
        cases.iter().filter(|case| case.ty.is_none()).map(|case| case.name.as_str()).collect();
    let with =
        cases.iter().filter_map(|case| Some(single(&case.name, of(case.ty.as_ref()?, direction))));
    let mut all: Vec<Json> = with.collect();
    if !bare.is_empty() {
        all.push(json!({"enum": bare}));
    }
    json!({"oneOf": all})
}

fn map(key: &Type, value: &Type, direction: Direction) -> Json {
    let object = json!({"type": "object", "additionalProperties": of(value, direction)});
    let pairs = json!({"type": "array", "items": tuple([key, value].into_iter(), direction)});
    match (key, direction) {
        (Type::String, Direction::Out) => object,
        (Type::String, Direction::In) => json!({"anyOf": [object, pairs]}),
        _ => pairs,
    }
}

/// Schema of an object with one field.
fn single(name: &str, value: Json) -> Json {
    json!({
        "type": "object",
        "properties": {name: value},
        "required": [name],
        "additionalProperties": false
    })
}
