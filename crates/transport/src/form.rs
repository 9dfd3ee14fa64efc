//! Bodies of `application/x-www-form-urlencoded`: pairs of texts, read by type as those of a query are.

use std::borrow::Cow;

use crisol_core::{Field, Type, Value};
use http::{HeaderMap, header};
use percent_encoding::percent_decode;

use crate::bad_request::{BadRequest, Place};
use crate::media;
use crate::pairs::{self, Kind, Pair};
use crate::text;

/// The media type of a form.
const MEDIA: &[u8] = b"application/x-www-form-urlencoded";

/// Pairs that a form may have: each takes many times the memory of the two bytes that it can be written in.
const MAX_PAIRS: usize = 10_000;

/// Names with their values, in order.
pub(crate) type Form = Vec<(String, String)>;

/// Whether a body says that it is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| media::essence(value.as_bytes()) == MEDIA)
}

/// Whether a form as a whole can be a value of the type: where JSON would be an object, or a list of pairs.
pub(crate) fn fits(ty: &Type) -> bool {
    let ty = text::peel(ty);
    let map = matches!(ty, Type::Map(key, _) if **key == Type::String);
    map || pairs::fits(ty)
}

/// The pairs of a body that is a form.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Form, BadRequest> {
    media::expect_identity(headers)?;
    media::expect_utf8(headers)?;
    if let Some(b'{' | b'[') = body.trim_ascii_start().first() {
        // A form that is sent as one has these bytes encoded; clients that name no media type send it for JSON.
        return Err(media::unsupported(headers, "`content-type: application/json` for JSON"));
    }
    let parts = || body.split(|&byte| byte == b'&').filter(|part| !part.is_empty());
    if parts().nth(MAX_PAIRS).is_some() {
        return Err(BadRequest::Mismatch {
            place: Place::Body,
            expected: format!("a form of at most {MAX_PAIRS} fields"),
            found: "more".to_owned(),
        });
    }
    parts().map(pair).collect()
}

fn pair(part: &[u8]) -> Result<(String, String), BadRequest> {
    let refuse = |place, bytes: &[u8]| {
        BadRequest::mismatch(place, "percent-encoded UTF-8", &String::from_utf8_lossy(bytes))
    };
    let at = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
    let (name, value) = part.split_at(at);
    let value = value.strip_prefix(b"=").unwrap_or_default();
    let name = decode(name).ok_or_else(|| refuse(Place::Body, part))?;
    match decode(value) {
        Some(value) => Ok((name, value)),
        None => Err(refuse(Place::Field(name), value)),
    }
}

/// Text of a form; `None` when an escape is not one, or the bytes are not UTF-8.
fn decode(encoded: &[u8]) -> Option<String> {
    let mut escapes = encoded.split(|&byte| byte == b'%').skip(1);
    let whole =
        |rest: &[u8]| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !escapes.all(whole) {
        return None;
    }
    let spaced: Vec<u8> =
        encoded.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// The pairs in the form that all named texts have.
pub(crate) fn as_pairs(form: &[(String, String)]) -> Vec<Pair<'_>> {
    form.iter().map(|(name, value)| Pair { name, value: Cow::Borrowed(value.as_bytes()) }).collect()
}

/// A form as a whole, as a value of a type that it [`fits`].
pub(crate) fn value(headers: &HeaderMap, body: &[u8], ty: &Type) -> Result<Value, BadRequest> {
    let form = parse(headers, body)?;
    let pairs = as_pairs(&form);
    match text::peel(ty) {
        Type::Record(fields) => {
            let names = form.iter().map(|(name, _)| name.as_str());
            refuse_unknown(names, fields)?;
            pairs::value(Kind::Form, &pairs, ty)
        }
        Type::Map(_, item) => pairs::read_each(&pairs, item),
        _ => pairs::value(Kind::Form, &pairs, ty),
    }
}

/// Refuses a field of a body that has the name of no parameter or record field: most often a misspelt option, that
/// would be lost without a word.
pub(crate) fn refuse_unknown<'a>(
    mut names: impl Iterator<Item = &'a str>,
    fields: &[Field],
) -> Result<(), BadRequest> {
    let known = |name: &str| fields.iter().any(|field| text::same_name(name, &field.name));
    match names.find(|name| !known(name)) {
        Some(name) => {
            let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            let name = name.chars().take(64).collect();
            Err(BadRequest::UnknownField { name, known: names.join(", ") })
        }
        None => Ok(()),
    }
}
