//! Binding for functions with several parameters: by name, from one source after another.

use crisol_core::{Args, Field, Type, Value};
use serde::ser::{Serialize, Serializer};

use crate::argument::Argument;
use crate::bad_request::BadRequest;
use crate::form;
use crate::json::Json;
use crate::message::Request;
use crate::pairs::{self, PairSource};
use crate::parsed_request::ParsedRequest;
use crate::request;

/// Source of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParamSource {
    Path,
    Query,
    Headers,
    Body,
    /// A field of the JSON object or form in the body.
    BodyField,
    /// None: the parameter is an option.
    Absent,
}

impl ParamSource {
    /// All sources. The first one with a parameter's name gives its value.
    pub(crate) const ALL: [Self; 6] =
        [Self::Path, Self::Query, Self::Headers, Self::Body, Self::BodyField, Self::Absent];

    fn find<'s>(
        self,
        param: &Field,
        parsed: &'s ParsedRequest<'_>,
    ) -> Result<Option<Argument<'s>>, BadRequest> {
        let value = match self {
            Self::Path => pairs::find(PairSource::Path, &parsed.params(), param)?,
            Self::Query => pairs::find(PairSource::Query, &parsed.query()?, param)?,
            Self::Headers if param.name == "headers" && pairs::fits(&param.ty) => {
                Some(pairs::value(PairSource::Headers, &parsed.headers(), &param.ty)?)
            }
            Self::Body if param.name == "body" => Some(request::body_value(parsed, &param.ty)?),
            Self::BodyField => {
                return match parsed.fields()? {
                    Some(fields) => fields.find(param),
                    None => Ok(None),
                };
            }
            Self::Absent if matches!(param.ty, Type::Option(_)) => Some(Value::Null),
            Self::Headers | Self::Body | Self::Absent => None,
        };
        Ok(value.map(Argument::Value))
    }
}

impl Serialize for Argument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => Json(value).serialize(serializer),
            Self::Json(text) => text.serialize(serializer),
        }
    }
}

fn find<'s>(param: &Field, parsed: &'s ParsedRequest<'_>) -> Result<Argument<'s>, BadRequest> {
    for source in ParamSource::ALL {
        if let Some(argument) = source.find(param, parsed)? {
            return Ok(argument);
        }
    }
    let name = &param.name;
    let locations = format!(
        "query parameter `{name}` or as field `{name}` of a JSON object or form in the body"
    );
    Err(BadRequest::Missing { name: name.clone(), locations })
}

/// Binds all parameters, in order.
pub(crate) fn bind(params: &[Field], request: &Request) -> Result<Args<'static>, BadRequest> {
    let mut parsed = ParsedRequest::new(request);
    if params.iter().any(|param| param.name == "body") {
        parsed = parsed.without_fields();
    }
    let arguments: Vec<Argument<'_>> =
        params.iter().map(|param| find(param, &parsed)).collect::<Result<_, _>>()?;
    if let Some(fields) = parsed.fields_if_read() {
        form::refuse_unknown(fields.names(), params)?;
    }
    if arguments.iter().any(|argument| matches!(argument, Argument::Json(_))) {
        return serde_json::to_vec(&arguments).map(Args::json).map_err(|problem| {
            BadRequest::Json { expected: "the parameters".to_owned(), problem }
        });
    }
    let values = arguments.into_iter().filter_map(|argument| match argument {
        Argument::Value(value) => Some(value),
        Argument::Json(_) => None,
    });
    Ok(Args::Values(values.collect()))
}
