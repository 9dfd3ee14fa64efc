//! A route as an operation: its parameters, body and responses.

use crisol_core::{Field, Signature, Type};
use http::Method;
use serde_json::{Map, Value as Json, json};

use super::schema::{self, Direction};
use super::{Binding, RouteDescription};
use crate::reply::{is_response, ok_side};
use crate::request;
use crate::text::{is_bytes, item_type, peel, same_name};

/// Media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// Parts of a request other than its path.
#[derive(Default)]
struct Inputs {
    query: Vec<Json>,
    body: Option<Json>,
}

pub(super) fn of(route: &RouteDescription<'_>) -> Json {
    let mut parameters: Vec<Json> =
        route.params.iter().map(|name| path_parameter(name, route)).collect();
    let inputs = match route.binding {
        Some((Binding::WasiHttp, signature)) => bound(route, signature),
        Some((Binding::Payload, signature)) => arguments(signature),
        None => Inputs { query: Vec::new(), body: anything(route.method) },
    };
    parameters.extend(inputs.query);
    let mut operation = json!({
        "operationId": route.id,
        "responses": responses(route.binding)
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = inputs.body {
        operation["requestBody"] = body;
    }
    operation
}

fn path_parameter(name: &str, route: &RouteDescription<'_>) -> Json {
    let fields = route.binding.map(|(_, signature)| signature.params.as_slice());
    let own = fields.unwrap_or_default().iter().find(|field| same_name(&field.name, name));
    let mut parameter =
        own.map_or_else(|| json!({"schema": {"type": "string"}}), |field| in_text(&field.ty));
    parameter["name"] = name.into();
    parameter["in"] = "path".into();
    parameter["required"] = true.into();
    if parameter["schema"]["type"] == "string" && parameter["schema"].get("minLength").is_none() {
        // A segment of a path is never empty.
        parameter["schema"]["minLength"] = 1.into();
    }
    parameter
}

fn query_parameter(field: &Field) -> Json {
    let mut parameter = in_text(&field.ty);
    parameter["name"] = field.name.as_str().into();
    parameter["in"] = "query".into();
    parameter["required"] = (!matches!(field.ty, Type::Option(_))).into();
    parameter
}

/// Schema of a type in a position that holds text.
fn in_text(ty: &Type) -> Json {
    let inner = peel(ty);
    let plain = matches!(
        inner,
        Type::String | Type::Char | Type::Bool | Type::F32 | Type::F64 | Type::Enum(_)
    );
    if is_bytes(inner) {
        json!({"schema": {"type": "string"}})
    } else if plain || crate::text::integer_range(inner).is_some() || item_type(inner).is_some() {
        json!({"schema": schema::of(inner, Direction::In)})
    } else {
        json!({"content": {"application/json": {"schema": schema::of(inner, Direction::In)}}})
    }
}

/// True if requests of the method are described with a body.
fn has_body(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE
    )
}

fn bound(route: &RouteDescription<'_>, signature: &Signature) -> Inputs {
    let named = |field: &&Field| !route.params.iter().any(|name| same_name(name, &field.name));
    let fields: Vec<&Field> = signature.params.iter().filter(named).collect();
    let body = has_body(route.method);
    if let [only] = signature.params.as_slice()
        && let Some(parts) = request::parts(&only.ty)
    {
        let part = parts.iter().find(|part| part.name == "body");
        return Inputs { query: Vec::new(), body: part.map(|part| whole(&part.ty)) };
    }
    match (signature.params.as_slice(), fields.as_slice()) {
        (_, []) => Inputs::default(),
        ([_], [only]) if body => Inputs { query: Vec::new(), body: Some(whole(&only.ty)) },
        (_, fields) => several(fields, body),
    }
}

fn several(fields: &[&Field], has_body: bool) -> Inputs {
    let rest = || fields.iter().filter(|field| field.name != "headers" && field.name != "body");
    let body = fields.iter().find(|field| field.name == "body");
    if body.is_some() || !has_body {
        let query = rest().map(|field| query_parameter(field)).collect();
        return Inputs { query, body: body.map(|field| whole(&field.ty)) };
    }
    let fields: Vec<Field> = rest().map(|field| (*field).clone()).collect();
    let required = fields.iter().any(|field| !matches!(field.ty, Type::Option(_)));
    let json = json!({"schema": schema::record(&fields, Direction::In)});
    let content = json!({"application/json": json, FORM: form(&fields)});
    let body = json!({"required": required, "content": content});
    Inputs { query: Vec::new(), body: Some(body) }
}

/// Media type object of a form, with each field as text.
fn form(fields: &[Field]) -> Json {
    let (mut properties, mut encoding) = (Map::new(), Map::new());
    for field in fields {
        let written = in_text(&field.ty);
        let schema = match written.pointer("/content/application~1json/schema") {
            Some(json) => {
                encoding.insert(field.name.clone(), json!({"contentType": "application/json"}));
                json.clone()
            }
            None => written["schema"].clone(),
        };
        properties.insert(field.name.clone(), schema);
    }
    let needed = fields.iter().filter(|field| !matches!(field.ty, Type::Option(_)));
    let required: Vec<&str> = needed.map(|field| field.name.as_str()).collect();
    let mut form = json!({"schema": {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    }});
    if !encoding.is_empty() {
        form["encoding"] = encoding.into();
    }
    form
}

/// Media type object of a whole form for a type that accepts one.
fn whole_form(ty: &Type) -> Json {
    match ty {
        Type::Record(fields) => form(fields),
        Type::Map(_, item) => {
            let item = schema::of(peel(item), Direction::In);
            json!({"schema": {"type": "object", "additionalProperties": item}})
        }
        _ => json!({"schema": {"type": "object"}}),
    }
}

/// Request body object for a body of the type.
fn whole(ty: &Type) -> Json {
    let inner = peel(ty);
    let mut content = if *inner == Type::String {
        json!({"text/plain": {"schema": {"type": "string"}}})
    } else if is_bytes(inner) {
        json!({"application/octet-stream": {}})
    } else {
        json!({"application/json": {"schema": schema::of(inner, Direction::In)}})
    };
    if crate::form::fits(inner) {
        content[FORM] = whole_form(inner);
    }
    // Text and bytes may be empty, and so may their body.
    let required = !matches!(ty, Type::Option(_)) && *inner != Type::String && !is_bytes(inner);
    json!({"required": required, "content": content})
}

fn arguments(signature: &Signature) -> Inputs {
    if signature.params.is_empty() {
        return Inputs::default();
    }
    let schema = schema::tuple(signature.params.iter().map(|field| &field.ty), Direction::In);
    let body = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    Inputs { query: Vec::new(), body: Some(body) }
}

fn anything(method: &Method) -> Option<Json> {
    has_body(method).then(|| json!({"content": {"*/*": {}}}))
}

fn responses(binding: Option<(Binding, &Signature)>) -> Json {
    let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    let mut failed = Map::new();
    failed.insert("application/problem+json".to_owned(), problem);
    let mut all = Map::new();
    match binding {
        None => drop(failed.insert("*/*".to_owned(), json!({}))),
        Some((binding, signature)) => {
            let result = signature.result.as_ref();
            let own = match result {
                Some(Type::Result { err: Some(err), .. }) => matches!(**err, Type::Record(_)),
                _ => false,
            };
            let response = ok_side(result).is_some_and(|ty| is_response(peel(ty)));
            if own || response {
                failed.insert("*/*".to_owned(), json!({}));
            }
            success(binding, ok_side(result), &mut all);
        }
    }
    all.insert("default".to_owned(), json!({"description": "anything else", "content": failed}));
    all.into()
}

/// Responses of a successful call, by the type of its result.
fn success(binding: Binding, ty: Option<&Type>, all: &mut Map<String, Json>) {
    let Some(ty) = ty else {
        all.insert("204".to_owned(), json!({"description": "done"}));
        return;
    };
    let (inner, media) = (peel(ty), binding == Binding::WasiHttp);
    if media && is_response(inner) {
        return;
    }
    if matches!(ty, Type::Option(_)) {
        all.insert("204".to_owned(), json!({"description": "none"}));
    }
    let content = if media && *inner == Type::String {
        json!({"text/plain": {"schema": {"type": "string"}}})
    } else if media && is_bytes(inner) {
        json!({"application/octet-stream": {}})
    } else {
        json!({"application/json": {"schema": schema::of(inner, Direction::Out)}})
    };
    all.insert("200".to_owned(), json!({"description": "the result", "content": content}));
}
