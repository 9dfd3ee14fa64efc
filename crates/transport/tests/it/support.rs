//! Signatures and requests written in one line each, and the arguments bound from a request.

use crisol_core::{Args, Field, Signature, Type};
use crisol_transport::{Request, Transport, WasiHttp};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

pub(crate) fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

pub(crate) fn bytes() -> Type {
    list(Type::U8)
}

pub(crate) fn fields<const N: usize>(fields: [(&str, Type); N]) -> Vec<Field> {
    fields.into_iter().map(|(name, ty)| Field { name: name.to_owned(), ty }).collect()
}

pub(crate) fn record<const N: usize>(of: [(&str, Type); N]) -> Type {
    Type::Record(fields(of))
}

pub(crate) fn func<const N: usize>(params: [(&str, Type); N]) -> Signature {
    Signature { params: fields(params), result: None }
}

/// Parses a request written in one line: `GET /path?query {param=value} | header: value | body`.
pub(crate) fn request(line: &str) -> Result<Request, Box<dyn std::error::Error>> {
    let mut parts = line.splitn(3, " | ");
    let head = parts.next().unwrap_or_default();
    let (method, rest) = head.split_once(' ').ok_or("a method and a path")?;
    let (target, params) = rest.split_once(' ').unwrap_or((rest, ""));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let params = params.split(' ').filter_map(|pair| pair.split_once('='));
    let mut headers = HeaderMap::new();
    for header in parts.next().unwrap_or_default().split("; ").filter(|text| !text.is_empty()) {
        let (name, value) = header.split_once(": ").ok_or("a header")?;
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(Request {
        method: method.parse()?,
        path: path.to_owned(),
        query,
        headers,
        params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: parts.next().unwrap_or_default().to_owned().into(),
    })
}

/// Formats arguments in their form: `values […]` for a tree, `json […]` for text that was passed through.
pub(crate) fn show(args: Args<'_>) -> String {
    match args {
        Args::Values(values) => {
            let shown: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
            format!("values {}", shown.join(", "))
        }
        Args::Json(text) => format!("json {}", String::from_utf8_lossy(&text)),
        _ => "another source".to_owned(),
    }
}

#[track_caller]
pub(crate) fn check(signature: &Signature, line: &str, expected: &str) -> TestResult {
    let found = match WasiHttp.decode(request(line)?, Some(signature)) {
        Ok(args) => show(args),
        Err(error) => format!("{}: {error}", error.cause().status().as_u16()),
    };
    assert_eq!(found, expected, "{signature} of {line}");
    Ok(())
}
