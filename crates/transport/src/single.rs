//! Binding for functions with one parameter.

use bytes::Bytes;
use crisol_core::{Args, Field, Type, Value};

use crate::bad_request::BadRequest;
use crate::body;
use crate::form;
use crate::message::Request;
use crate::pairs::{self, PairSource};
use crate::parsed_request::ParsedRequest;
use crate::request;
use crate::text;

/// Part of a request that a single parameter is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// The whole request, as a record of its parts.
    Request,
    PathParameter,
    QueryParameter,
    /// Nothing: the parameter is an option, and the body is empty.
    Absent,
    BodyText,
    BodyBytes,
    BodyForm,
    BodyJson,
}

impl Binding {
    /// All bindings. The first one that applies is used.
    pub(crate) const ALL: [Self; 8] = [
        Self::Request,
        Self::PathParameter,
        Self::QueryParameter,
        Self::Absent,
        Self::BodyText,
        Self::BodyBytes,
        Self::BodyForm,
        Self::BodyJson,
    ];

    fn applies(self, param: &Field, request: &Request) -> bool {
        match self {
            Self::Request => request::parts(&param.ty).is_some(),
            Self::PathParameter => {
                request.params.iter().any(|(name, _)| text::same_name(name, &param.name))
            }
            Self::QueryParameter => request.body.is_empty() && in_query(param, request),
            Self::Absent => matches!(param.ty, Type::Option(_)) && request.body.is_empty(),
            Self::BodyText => *text::peel(&param.ty) == Type::String,
            Self::BodyBytes => text::is_bytes(text::peel(&param.ty)),
            Self::BodyForm => form::is_form(&request.headers) && form::fits(&param.ty),
            Self::BodyJson => true,
        }
    }

    fn bind(self, param: &Field, request: Request) -> Result<Args<'static>, BadRequest> {
        let value = match self {
            Self::Request => {
                let fields = request::parts(&param.ty).unwrap_or_default();
                request::value(&ParsedRequest::new(&request), fields)?
            }
            Self::PathParameter => {
                let parsed = ParsedRequest::new(&request);
                pairs::find(PairSource::Path, &parsed.params(), param)?.unwrap_or_default()
            }
            Self::QueryParameter => {
                let parsed = ParsedRequest::new(&request);
                pairs::find(PairSource::Query, &parsed.query()?, param)?.unwrap_or_default()
            }
            Self::Absent => Value::Null,
            Self::BodyText => Value::Text(body::text(&request.headers, request.body)?),
            Self::BodyBytes => Value::Bytes(Vec::from(request.body)),
            Self::BodyForm => form::value(&request.headers, &request.body, &param.ty)?,
            Self::BodyJson => {
                let media = body::media_of(&param.ty);
                body::check_json((&request.headers, media), &request.body, &param.ty)?;
                return Ok(Args::json(as_array(&request.body)));
            }
        };
        Ok(Args::Values(vec![value]))
    }
}

fn in_query(param: &Field, request: &Request) -> bool {
    // A query that cannot be decoded is reported by the binding that reads it.
    request.query.is_some()
        && ParsedRequest::new(request)
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
    match Binding::ALL.into_iter().find(|binding| binding.applies(param, &request)) {
        Some(binding) => binding.bind(param, request),
        None => Ok(Args::none()),
    }
}
