//! Bodies of type `application/x-www-form-urlencoded`: pairs of texts, read by type like those of a query.

use std::borrow::Cow;

use crisol_core::{Field, Type, Value};
use http::{HeaderMap, header};
use percent_encoding::percent_decode;

use crate::bad_request::{BadRequest, Location};
use crate::media;
use crate::pairs::{self, Pair, PairSource};
use crate::text;

/// Media type of a form.
const MEDIA: &[u8] = b"application/x-www-form-urlencoded";

/// Maximum number of pairs in a form. A pair can be written in two bytes, but takes far more memory.
const MAX_PAIRS: usize = 10_000;

/// Names with their values, in order.
pub(crate) type Form = Vec<(String, String)>;

/// True if the body's media type is that of a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| media::essence(value.as_bytes()) == MEDIA)
}

/// True if a whole form can be a value of the type, in place of a JSON object or list of pairs.
pub(crate) fn fits(ty: &Type) -> bool {
    let ty = text::peel(ty);
    let map = matches!(ty, Type::Map(key, _) if **key == Type::String);
    map || pairs::fits(ty)
}

/// Parses the pairs of a form.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Form, BadRequest> {
    media::expect_identity(headers)?;
    media::expect_utf8(headers)?;
    if let Some(b'{' | b'[') = body.trim_ascii_start().first() {
        // These bytes are encoded in a real form; clients that set no media type send this one with JSON.
        return Err(media::unsupported(headers, "`content-type: application/json` for JSON"));
    }
    let parts = || body.split(|&byte| byte == b'&').filter(|part| !part.is_empty());
    if parts().nth(MAX_PAIRS).is_some() {
        return Err(BadRequest::Mismatch {
            location: Location::Body,
            expected: format!("a form of at most {MAX_PAIRS} fields"),
            found: "more".to_owned(),
        });
    }
    parts().map(pair).collect()
}

fn pair(part: &[u8]) -> Result<(String, String), BadRequest> {
    let refuse = |location, bytes: &[u8]| {
        BadRequest::mismatch(location, "percent-encoded UTF-8", &String::from_utf8_lossy(bytes))
    };
    let at = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
    let (name, value) = part.split_at(at);
    let value = value.strip_prefix(b"=").unwrap_or_default();
    let name = decode(name).ok_or_else(|| refuse(Location::Body, part))?;
    match decode(value) {
        Some(value) => Ok((name, value)),
        None => Err(refuse(Location::Field(name), value)),
    }
}

/// Decodes a text of a form; `None` if an escape is malformed or the bytes are not UTF-8.
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

/// Converts a form into the pairs that all named texts are read from.
pub(crate) fn as_pairs(form: &[(String, String)]) -> Vec<Pair<'_>> {
    form.iter().map(|(name, value)| Pair { name, value: Cow::Borrowed(value.as_bytes()) }).collect()
}

/// Reads a whole form as a value of a type that it [`fits`].
pub(crate) fn value(headers: &HeaderMap, body: &[u8], ty: &Type) -> Result<Value, BadRequest> {
    let form = parse(headers, body)?;
    let pairs = as_pairs(&form);
    match text::peel(ty) {
        Type::Record(fields) => {
            let names = form.iter().map(|(name, _)| name.as_str());
            refuse_unknown(names, fields)?;
            pairs::value(PairSource::Form, &pairs, ty)
        }
        Type::Map(_, item) => pairs::read_each(&pairs, item),
        _ => pairs::value(PairSource::Form, &pairs, ty),
    }
}

/// Refuses a field of the body that matches no parameter or record field. Most often this is a misspelt option,
/// which would otherwise be ignored silently.
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
