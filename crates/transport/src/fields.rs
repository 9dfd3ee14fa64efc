//! Fields of a body that is bound to several parameters: of a JSON object or of a form.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crisol_core::{Field, shorten};
use http::HeaderMap;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::argument::Argument;
use crate::bad_request::{BadRequest, SHOWN};
use crate::form::{self, Form};
use crate::pairs::{self, PairSource};
use crate::{body, text};

/// Fields of a body.
#[derive(Debug)]
pub(crate) enum Fields<'a> {
    Json(BTreeMap<FieldName<'a>, &'a RawValue>),
    Form(Form),
}

/// Name of a field. Two names that [are the same](text::same_name) are equal.
#[derive(Debug, Deserialize)]
pub(crate) struct FieldName<'a>(#[serde(borrow)] Cow<'a, str>);

impl FieldName<'_> {
    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(text::fold)
    }
}

impl Ord for FieldName<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for FieldName<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for FieldName<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for FieldName<'_> {}

/// A JSON object, with the first duplicate name.
#[derive(Default)]
struct Object<'a> {
    fields: BTreeMap<FieldName<'a>, &'a RawValue>,
    duplicate: Option<(String, String)>,
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some((name, value)) = map.next_entry::<FieldName<'de>, &RawValue>()? {
            if object.duplicate.is_some() {
                continue;
            }
            match object.fields.get_key_value(&name) {
                None => drop(object.fields.insert(name, value)),
                Some((first, _)) => object.duplicate = Some((shown(first), shown(&name))),
            }
        }
        Ok(object)
    }
}

fn shown(name: &FieldName<'_>) -> String {
    shorten(&name.0, SHOWN).to_string()
}

impl<'a> Deserialize<'a> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'a> Fields<'a> {
    /// Parses the fields of a body; an empty body has none.
    ///
    /// # Errors
    /// Fails if the body is neither a JSON object nor a form, or if a JSON object has a duplicate name.
    pub(crate) fn parse(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, BadRequest> {
        if body.is_empty() {
            return Ok(Self::Json(BTreeMap::new()));
        }
        if form::is_form(headers) {
            return form::parse(headers, body).map(Self::Form);
        }
        body::expect_object(headers, body)?;
        let object: Object<'a> = serde_json::from_slice(body)
            .map_err(|problem| BadRequest::Json { expected: "an object".to_owned(), problem })?;
        match object.duplicate {
            None => Ok(Self::Json(object.fields)),
            Some((name, second)) => {
                let differs = name != second;
                let also = if differs { format!(", also as `{second}`") } else { String::new() };
                Err(BadRequest::DuplicateField { name, also })
            }
        }
    }

    /// Finds the field of a parameter.
    ///
    /// # Errors
    /// Fails if the field of a form is not valid text for the parameter's type.
    pub(crate) fn find(&self, param: &Field) -> Result<Option<Argument<'_>>, BadRequest> {
        match self {
            Self::Json(fields) => {
                let name = FieldName(Cow::Borrowed(&param.name));
                Ok(fields.get(&name).map(|json| Argument::Json(json)))
            }
            Self::Form(form) => {
                let found = pairs::find(PairSource::Form, &form::as_pairs(form), param)?;
                Ok(found.map(Argument::Value))
            }
        }
    }

    /// Names of the fields.
    pub(crate) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Json(fields) => Box::new(fields.keys().map(|name| &*name.0)),
            Self::Form(form) => Box::new(form.iter().map(|(name, _)| name.as_str())),
        }
    }
}
