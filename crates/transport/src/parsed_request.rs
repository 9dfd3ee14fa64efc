//! Parts of a request, each parsed once and only on demand.

use std::borrow::Cow;
use std::cell::OnceCell;

use percent_encoding::percent_decode;

use crate::bad_request::{BadRequest, Location};
use crate::fields::Fields;
use crate::form;
use crate::message::Request;
use crate::pairs::Pair;

/// Parts of a request by name.
pub(crate) struct ParsedRequest<'a> {
    pub(crate) request: &'a Request,
    body_is_taken: bool,
    query: OnceCell<Vec<(String, String)>>,
    fields: OnceCell<Fields<'a>>,
}

impl<'a> ParsedRequest<'a> {
    pub(crate) fn new(request: &'a Request) -> Self {
        Self { request, body_is_taken: false, query: OnceCell::new(), fields: OnceCell::new() }
    }

    /// Marks the body as bound to a parameter as a whole, so that it has no fields.
    pub(crate) fn without_fields(self) -> Self {
        Self { body_is_taken: true, ..self }
    }

    pub(crate) fn params(&self) -> Vec<Pair<'_>> {
        form::as_pairs(&self.request.params)
    }

    /// Keys and values of the query, decoded like HTML forms: `+` is a space.
    ///
    /// # Errors
    /// Fails if a key or value is not UTF-8.
    pub(crate) fn query(&self) -> Result<Vec<Pair<'_>>, BadRequest> {
        if self.query.get().is_none() {
            let query = self.request.query.as_deref().unwrap_or_default();
            let decoded = query.split('&').filter(|part| !part.is_empty()).map(key_value);
            // The cell cannot have been set in between.
            let _ = self.query.set(decoded.collect::<Result<_, _>>()?);
        }
        Ok(self.query.get().map(|query| form::as_pairs(query)).unwrap_or_default())
    }

    pub(crate) fn headers(&self) -> Vec<Pair<'_>> {
        let headers = self.request.headers.iter();
        headers
            .map(|(name, value)| Pair {
                name: name.as_str(),
                value: Cow::Borrowed(value.as_bytes()),
            })
            .collect()
    }

    /// Fields of a body that is a JSON object or a form; `None` if the body is bound as a whole.
    ///
    /// # Errors
    /// Fails if a nonempty body is neither.
    pub(crate) fn fields(&self) -> Result<Option<&Fields<'a>>, BadRequest> {
        if self.body_is_taken {
            return Ok(None);
        }
        if self.fields.get().is_none() {
            let fields = Fields::parse(&self.request.headers, &self.request.body)?;
            // The cell cannot have been set in between.
            let _ = self.fields.set(fields);
        }
        Ok(self.fields.get())
    }

    /// The fields, if they were parsed before.
    pub(crate) fn fields_if_read(&self) -> Option<&Fields<'a>> {
        self.fields.get()
    }
}

fn key_value(part: &str) -> Result<(String, String), BadRequest> {
    let (key, value) = part.split_once('=').unwrap_or((part, ""));
    let key = decode(key)
        .ok_or_else(|| BadRequest::mismatch(Location::WholeQuery, "percent-encoded UTF-8", part))?;
    match decode(value) {
        Some(value) => Ok((key, value)),
        None => Err(BadRequest::mismatch(Location::Query(key), "percent-encoded UTF-8", value)),
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(Cow::into_owned)
}
