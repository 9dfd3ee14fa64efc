//! Records that represent the request.

use crisol_core::{Case, Field, Type, Value};

use crate::bad_request::{BadRequest, Place};
use crate::body;
use crate::pairs::{self, Kind};
use crate::sources::Sources;
use crate::text;

/// A field that such a record may have.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) types: &'static str,
    pub(crate) holds: &'static str,
    fits: fn(&Type) -> bool,
    value: fn(&Sources<'_>, &Type) -> Result<Value, BadRequest>,
}

/// Fields of a request.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "method",
        types: "`string`; an `enum` or `variant` with a case `get`",
        holds: "the method: `GET`, or the case of that name (else `other(string)`)",
        fits: |ty| *ty == Type::String || cases(ty).iter().any(|case| is_case(case, "get")),
        value: |sources, ty| method(sources.request.method.as_str(), ty),
    },
    Part {
        name: "path",
        types: "`string`",
        holds: "the path, percent-encoded as the client sent it, without the query",
        fits: |ty| *ty == Type::String,
        value: |sources, _| Ok(Value::from(sources.request.path.as_str())),
    },
    Part {
        name: "query",
        types: "`string`, `option<string>`",
        holds: "what stands after `?`, as the client sent it; a shape of pairs gets it decoded",
        fits: |ty| *text::peel(ty) == Type::String || pairs::fits(ty),
        value: |sources, ty| match (&sources.request.query, text::peel(ty)) {
            (Some(query), Type::String) => Ok(Value::from(query.as_str())),
            (None, Type::String) if matches!(ty, Type::Option(_)) => Ok(Value::Null),
            (None, Type::String) => Ok(Value::from("")),
            _ => pairs::value(Kind::Query, &sources.query()?, ty),
        },
    },
    Part {
        name: "headers",
        types: "a shape of pairs",
        holds: "the headers, names in lower case",
        fits: pairs::fits,
        value: |sources, ty| pairs::value(Kind::Headers, &sources.headers(), ty),
    },
    Part {
        name: "params",
        types: "a shape of pairs",
        holds: "the parameters of the route's pattern, decoded",
        fits: pairs::fits,
        value: |sources, ty| pairs::value(Kind::Params, &sources.params(), ty),
    },
    Part {
        name: "body",
        types: "any",
        holds: "the body: as text for `string`, as bytes for `list<u8>`, none for an `option` when it is empty, else as JSON or a form",
        fits: |_| true,
        value: body_value,
    },
];

/// The fields of `ty` if it is a record of request parts, each of a type that can hold its part.
pub(crate) fn parts(ty: &Type) -> Option<&[Field]> {
    let Type::Record(fields) = ty else { return None };
    let fits =
        |field: &Field| PARTS.iter().any(|part| part.name == field.name && (part.fits)(&field.ty));
    (!fields.is_empty() && fields.iter().all(fits)).then_some(fields)
}

/// Builds the request as a record of `fields`, which [`parts`] returned.
pub(crate) fn value(sources: &Sources<'_>, fields: &[Field]) -> Result<Value, BadRequest> {
    let mut pairs = Vec::with_capacity(fields.len());
    for field in fields {
        if let Some(part) = PARTS.iter().find(|part| part.name == field.name) {
            pairs.push((Value::from(part.name), (part.value)(sources, &field.ty)?));
        }
    }
    Ok(Value::Map(pairs))
}

/// Reads the whole body by a type; none for an option if the body is empty.
pub(crate) fn body_value(sources: &Sources<'_>, ty: &Type) -> Result<Value, BadRequest> {
    let request = sources.request;
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
        _ => Err(BadRequest::mismatch(Place::Method, ty, method)),
    }
}
