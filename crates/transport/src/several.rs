//! Binding for functions with several parameters: by name, from one source after another.

use crisol_core::{Args, Field, Type, Value};
use serde::ser::{Serialize, Serializer};

use crate::bad_request::BadRequest;
use crate::bound::Bound;
use crate::form;
use crate::json::Json;
use crate::message::Request;
use crate::pairs::{self, Kind};
use crate::request;
use crate::sources::Sources;

/// A source of parameters.
pub(crate) struct Source {
    pub(crate) place: &'static str,
    pub(crate) gives: &'static str,
    find: for<'a, 's> fn(&Field, &'s Sources<'a>) -> Result<Option<Bound<'s>>, BadRequest>,
}

/// Sources of parameters, in order. The first source with a parameter's name gives its value.
pub(crate) const SOURCES: &[Source] = &[
    Source {
        place: "the path's parameters",
        gives: "the text, read by the type (below)",
        find: |param, sources| {
            Ok(pairs::find(Kind::Params, &sources.params(), param)?.map(Bound::Value))
        },
    },
    Source {
        place: "the query",
        gives: "the text, read by the type (below)",
        find: |param, sources| {
            Ok(pairs::find(Kind::Query, &sources.query()?, param)?.map(Bound::Value))
        },
    },
    Source {
        place: "a parameter called `headers` of a type that holds pairs (below)",
        gives: "the headers",
        find: |param, sources| {
            if param.name != "headers" || !pairs::fits(&param.ty) {
                return Ok(None);
            }
            pairs::value(Kind::Headers, &sources.headers(), &param.ty)
                .map(|v| Some(Bound::Value(v)))
        },
    },
    Source {
        place: "a parameter called `body`",
        gives: "the body, as a single parameter of its type would get it",
        find: |param, sources| {
            if param.name != "body" {
                return Ok(None);
            }
            request::body_value(sources, &param.ty).map(|value| Some(Bound::Value(value)))
        },
    },
    Source {
        place: "the fields of the JSON object or form in the body, unless a parameter is called `body`",
        gives: "the field's value; of a form the text, read by the type (below)",
        find: |param, sources| match sources.fields()? {
            Some(fields) => fields.find(param),
            None => Ok(None),
        },
    },
    Source {
        place: "nowhere, and the type is `option<T>`",
        gives: "none",
        find: |param, _| {
            Ok(matches!(param.ty, Type::Option(_)).then_some(Bound::Value(Value::Null)))
        },
    },
];

impl Serialize for Bound<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => Json(value).serialize(serializer),
            Self::Json(text) => text.serialize(serializer),
        }
    }
}

fn find<'s>(param: &Field, sources: &'s Sources<'_>) -> Result<Bound<'s>, BadRequest> {
    for source in SOURCES {
        if let Some(bound) = (source.find)(param, sources)? {
            return Ok(bound);
        }
    }
    let name = &param.name;
    let places = format!(
        "query parameter `{name}` or as field `{name}` of a JSON object or form in the body"
    );
    Err(BadRequest::Missing { name: name.clone(), places })
}

/// Binds all parameters, in order.
pub(crate) fn bind(params: &[Field], request: &Request) -> Result<Args<'static>, BadRequest> {
    let mut sources = Sources::new(request);
    if params.iter().any(|param| param.name == "body") {
        sources = sources.without_fields();
    }
    let bound: Vec<Bound<'_>> =
        params.iter().map(|param| find(param, &sources)).collect::<Result<_, _>>()?;
    if let Some(fields) = sources.fields_if_read() {
        form::refuse_unknown(fields.names(), params)?;
    }
    if bound.iter().any(|bound| matches!(bound, Bound::Json(_))) {
        return serde_json::to_vec(&bound).map(Args::json).map_err(|problem| BadRequest::Json {
            expected: "the parameters".to_owned(),
            problem,
        });
    }
    let values = bound.into_iter().filter_map(|bound| match bound {
        Bound::Value(value) => Some(value),
        Bound::Json(_) => None,
    });
    Ok(Args::Values(values.collect()))
}
