//! Binding for functions with one parameter.

use bytes::Bytes;
use crisol_core::{Args, Field, Type, Value};

use crate::bad_request::BadRequest;
use crate::body;
use crate::form;
use crate::message::Request;
use crate::pairs::{self, Kind};
use crate::request;
use crate::sources::Sources;
use crate::text;

/// A row of the table.
pub(crate) struct Rule {
    pub(crate) when: &'static str,
    pub(crate) gets: &'static str,
    applies: fn(&Field, &Request) -> bool,
    bind: fn(&Field, Request) -> Result<Args<'static>, BadRequest>,
}

/// Rules for a single parameter. The first rule that applies is used.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        when: "a `record` whose fields are all parts of a request (below)",
        gets: "the request",
        applies: |param, _| request::parts(&param.ty).is_some(),
        bind: |param, request| {
            let fields = request::parts(&param.ty).unwrap_or_default();
            request::value(&Sources::new(&request), fields).map(argument)
        },
    },
    Rule {
        when: "any type, with the name of a parameter of the path",
        gets: "the path's text, read by the type (below)",
        applies: |param, request| {
            request.params.iter().any(|(name, _)| text::same_name(name, &param.name))
        },
        bind: |param, request| {
            let found = pairs::find(Kind::Params, &Sources::new(&request).params(), param)?;
            Ok(argument(found.unwrap_or_default()))
        },
    },
    Rule {
        when: "any type, with the name of a key of the query, when the body is empty",
        gets: "the query's text, read by the type (below)",
        applies: |param, request| request.body.is_empty() && in_query(param, request),
        bind: |param, request| {
            let sources = Sources::new(&request);
            let found = pairs::find(Kind::Query, &sources.query()?, param)?;
            Ok(argument(found.unwrap_or_default()))
        },
    },
    Rule {
        when: "`option<T>`, when the body is empty",
        gets: "none",
        applies: |param, request| matches!(param.ty, Type::Option(_)) && request.body.is_empty(),
        bind: |_, _| Ok(argument(Value::Null)),
    },
    Rule {
        when: "`string`",
        gets: "the body as text (UTF-8), whatever its media type",
        applies: |param, _| *text::peel(&param.ty) == Type::String,
        bind: |_, request| {
            body::text(&request.headers, request.body).map(|text| argument(Value::Text(text)))
        },
    },
    Rule {
        when: "`list<u8>`",
        gets: "the body's bytes, whatever its media type",
        applies: |param, _| text::is_bytes(text::peel(&param.ty)),
        bind: |_, request| Ok(argument(Value::Bytes(Vec::from(request.body)))),
    },
    Rule {
        when: "a `record`, a `map<string, T>` or a shape of pairs (below), when the body is a form",
        gets: "the form's fields, each text read by its type (below)",
        applies: |param, request| form::is_form(&request.headers) && form::fits(&param.ty),
        bind: |param, request| {
            form::value(&request.headers, &request.body, &param.ty).map(argument)
        },
    },
    Rule {
        when: "any other type",
        gets: "the body as JSON",
        applies: |_, _| true,
        bind: |param, request| {
            let media = body::media_of(&param.ty);
            body::check_json((&request.headers, media), &request.body, &param.ty)?;
            Ok(Args::json(as_array(&request.body)))
        },
    },
];

fn argument(value: Value) -> Args<'static> {
    Args::Values(vec![value])
}

fn in_query(param: &Field, request: &Request) -> bool {
    // A query that cannot be decoded is reported by the rule that reads it.
    request.query.is_some()
        && Sources::new(request)
            .query()
            .map_or(true, |query| query.iter().any(|pair| text::same_name(pair.name, &param.name)))
}

/// Wraps JSON text in an array.
fn as_array(body: &Bytes) -> Vec<u8> {
    let mut array = Vec::with_capacity(body.len() + 2);
    array.push(b'[');
    array.extend_from_slice(body);
    array.push(b']');
    array
}

/// Binds the parameter.
pub(crate) fn bind(param: &Field, request: Request) -> Result<Args<'static>, BadRequest> {
    match RULES.iter().find(|rule| (rule.applies)(param, &request)) {
        Some(rule) => (rule.bind)(param, request),
        None => Ok(Args::none()),
    }
}
