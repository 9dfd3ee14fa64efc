//! Records that represent the request.

use crisol_core::{Case, Field, Type, Value};

use crate::bad_request::{BadRequest, Location};
use crate::body;
use crate::pairs::{self, PairSource};
use crate::parsed_request::ParsedRequest;
use crate::text;

/// A part of a request, as a field of a record.
pub(crate) struct RequestPart {
    pub(crate) name: &'static str,
    fits: fn(&Type) -> bool,
    value: fn(&ParsedRequest<'_>, &Type) -> Result<Value, BadRequest>,
}

/// All parts of a request.
pub(crate) const PARTS: [RequestPart; 6] = [
    RequestPart {
        name: "method",
        fits: |ty| *ty == Type::String || cases(ty).iter().any(|case| is_case(case, "get")),
        value: |parsed, ty| method(parsed.request.method.as_str(), ty),
    },
    RequestPart {
        name: "path",
        fits: |ty| *ty == Type::String,
        value: |parsed, _| Ok(Value::from(parsed.request.path.as_str())),
    },
    RequestPart {
        name: "query",
        fits: |ty| *text::peel(ty) == Type::String || pairs::fits(ty),
        value: |parsed, ty| match (&parsed.request.query, text::peel(ty)) {
            (Some(query), Type::String) => Ok(Value::from(query.as_str())),
            (None, Type::String) if matches!(ty, Type::Option(_)) => Ok(Value::Null),
            (None, Type::String) => Ok(Value::from("")),
            _ => pairs::value(PairSource::Query, &parsed.query()?, ty),
        },
    },
    RequestPart {
        name: "headers",
        fits: pairs::fits,
        value: |parsed, ty| pairs::value(PairSource::Headers, &parsed.headers(), ty),
    },
    RequestPart {
        name: "params",
        fits: pairs::fits,
        value: |parsed, ty| pairs::value(PairSource::Path, &parsed.params(), ty),
    },
    RequestPart { name: "body", fits: |_| true, value: body_value },
];

/// The fields of `ty` if it is a record of request parts, each of a type that can hold its part.
pub(crate) fn parts(ty: &Type) -> Option<&[Field]> {
    let Type::Record(fields) = ty else { return None };
    let fits =
        |field: &Field| PARTS.iter().any(|part| part.name == field.name && (part.fits)(&field.ty));
    (!fields.is_empty() && fields.iter().all(fits)).then_some(fields)
}

/// Builds the request as a record of `fields`, which [`parts`] returned.
pub(crate) fn value(parsed: &ParsedRequest<'_>, fields: &[Field]) -> Result<Value, BadRequest> {
    let mut pairs = Vec::with_capacity(fields.len());
    for field in fields {
        if let Some(part) = PARTS.iter().find(|part| part.name == field.name) {
            pairs.push((Value::from(part.name), (part.value)(parsed, &field.ty)?));
        }
    }
    Ok(Value::Map(pairs))
}

/// Reads the whole body by a type; none for an option if the body is empty.
pub(crate) fn body_value(parsed: &ParsedRequest<'_>, ty: &Type) -> Result<Value, BadRequest> {
    let request = parsed.request;
    if request.body.is_empty() && matches!(ty, Type::Option(_)) {
        return Ok(Value::Null);
    }
    match text::peel(ty) {
        Type::String => body::text(&request.headers, request.body.clone()).map(Value::Text),
        inner if text::is_bytes(inner) => Ok(Value::Bytes(request.body.to_vec())),
        _ => body::tree(&request.headers, &request.body, ty),
    }
}

/// Names of an enum's cases, or of a variant's cases without payload.
fn cases(ty: &Type) -> Vec<&str> {
    match ty {
        Type::Enum(names) => names.iter().map(String::as_str).collect(),
        Type::Variant(cases) => {
            cases.iter().filter(|case| case.ty.is_none()).map(|case| case.name.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

fn is_case(case: &str, method: &str) -> bool {
    case.eq_ignore_ascii_case(method)
}

fn method(method: &str, ty: &Type) -> Result<Value, BadRequest> {
    if *ty == Type::String {
        return Ok(Value::from(method));
    }
    if let Some(case) = cases(ty).into_iter().find(|case| is_case(case, method)) {
        return Ok(Value::from(case));
    }
    let takes_other = |case: &Case| {
        case.name == "other" && case.ty.as_ref().is_some_and(|ty| *ty == Type::String)
    };
    match ty {
        Type::Variant(cases) if cases.iter().any(takes_other) => {
            Ok(Value::Map(vec![(Value::from("other"), Value::from(method))]))
        }
        _ => Err(BadRequest::mismatch(Location::Method, ty, method)),
    }
}
