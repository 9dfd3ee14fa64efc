//! Checks that the tables in `docs/http.md` equal the rules in the code. `BLESS=1` updates them.

use std::fmt::Write as _;
use std::path::Path;

use crate::problem::Cause;
use crate::single::Binding;
use crate::text::Notation;
use crate::{pairs::PairsShape, reply::ResponseForm, request, several::ParamSource, untyped};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn one_parameter(binding: Binding) -> [&'static str; 2] {
    match binding {
        Binding::Request => {
            ["a `record` whose fields are all parts of a request (below)", "the request"]
        }
        Binding::PathParameter => [
            "any type, with the name of a path parameter",
            "the text of the path, read by the type (below)",
        ],
        Binding::QueryParameter => [
            "any type, with the name of a query key, if the body is empty",
            "the text of the query, read by the type (below)",
        ],
        Binding::Absent => ["`option<T>`, if the body is empty", "none"],
        Binding::BodyText => ["`string`", "the body as text (UTF-8), of any media type"],
        Binding::BodyBytes => ["`list<u8>`", "the bytes of the body, of any media type"],
        Binding::BodyForm => [
            "a `record`, a `map<string, T>` or a shape of pairs (below), if the body is a form",
            "the fields of the form, each text read by its type (below)",
        ],
        Binding::BodyJson => ["any other type", "the body as JSON"],
    }
}

fn several_parameters(source: ParamSource) -> [&'static str; 2] {
    match source {
        ParamSource::Path => ["the path parameters", "the text, read by the type (below)"],
        ParamSource::Query => ["the query", "the text, read by the type (below)"],
        ParamSource::Headers => [
            "the headers, for a parameter `headers` of a type that holds pairs (below)",
            "the headers",
        ],
        ParamSource::Body => {
            ["the body, for a parameter `body`", "the body, as for a single parameter of its type"]
        }
        ParamSource::BodyField => [
            "the fields of the JSON object or form in the body, unless there is a parameter `body`",
            "the field's value; for a form the text, read by the type (below)",
        ],
        ParamSource::Absent => ["none of these, for an `option<T>`", "none"],
    }
}

fn part_of_a_request(name: &str) -> [&'static str; 2] {
    match name {
        "method" => [
            "`string`; an `enum` or `variant` with a case `get`",
            "the method: `GET`, or the case of that name (else `other(string)`)",
        ],
        "path" => ["`string`", "the path, percent-encoded as sent, without the query"],
        "query" => [
            "`string`, `option<string>`, a shape of pairs",
            "the text after `?` as sent; decoded for a shape of pairs",
        ],
        "headers" => ["a shape of pairs", "the headers, with lower-case names"],
        "params" => ["a shape of pairs", "the path parameters of the route, decoded"],
        "body" => [
            "any",
            "the body: text for `string`, bytes for `list<u8>`, none for an `option` if it is empty, else JSON or a form",
        ],
        _ => ["", ""],
    }
}

fn shape_of_pairs(shape: PairsShape) -> [&'static str; 2] {
    match shape {
        PairsShape::Tuples => ["`list<tuple<string, S>>`", "every pair, in order"],
        PairsShape::Records => {
            ["`list<record { name: string, value: S }>`", "every pair, in order"]
        }
        PairsShape::Map => [
            "`map<string, S>`",
            "each name once: header lines joined by `, ` (`cookie`: `; `), the last value of a query key",
        ],
        PairsShape::MultiMap => {
            ["`map<string, list<S>>`", "each name once, with all of its values"]
        }
        PairsShape::Fields => [
            "`record { … }`",
            "the pairs named like its fields, each text read by the field's type",
        ],
    }
}

fn text(notation: Notation) -> [&'static str; 2] {
    match notation {
        Notation::Verbatim => ["`string`, `char`", "as it is"],
        Notation::Bool => ["`bool`", "`true` or `false`"],
        Notation::Integer => {
            ["integers", "decimal digits, with `-` for negative ones, in the range of the type"]
        }
        Notation::Float => ["`f32`, `f64`", "a number, or `NaN`, `Infinity`, `-Infinity`"],
        Notation::CaseName => ["`enum`", "the name of the case"],
        Notation::Bytes => ["`list<u8>`", "any text; its UTF-8 bytes are the value"],
        Notation::Repeated => [
            "`flags`, and `list<T>` of any of the above",
            "one item for each time the name occurs: `?tag=a&tag=b`",
        ],
        Notation::Optional => ["`option<T>`", "as `T`; absent for none"],
        Notation::Json => ["any other type", "JSON"],
    }
}

fn result(form: ResponseForm) -> [&'static str; 2] {
    match form {
        ResponseForm::NoContent => {
            ["no result, or an `option` that is none", "`204`, without a body"]
        }
        ResponseForm::Text => ["`string`", "`200`, `text/plain; charset=utf-8`"],
        ResponseForm::Bytes => ["`list<u8>`", "`200`, `application/octet-stream`"],
        ResponseForm::Described => [
            "a `record` with an integer `status` and no other fields than `headers` and `body`",
            "that response: `headers` in a shape of pairs, `body` like a result of its type; its media type applies unless `headers` has one",
        ],
        ResponseForm::Json => ["any other type", "`200`, `application/json`"],
    }
}

fn field_of_a_table(name: &str) -> &'static str {
    match name {
        "method" => "the method: `GET`",
        "path" => "the path, percent-encoded as sent, without the query",
        "query" => "each query key, decoded, with its value; the last value of a repeated key",
        "query_string" => "the text after `?` as sent; none without a `?`",
        "headers" => {
            "each header by its lower-case name: several lines joined by `, ` (`cookie`: `; `)"
        }
        "params" => "the path parameters of the route, decoded",
        "body" => "the body as sent, of any media type; empty without one",
        _ => "",
    }
}

fn untyped_result(form: ResponseForm) -> [&'static str; 2] {
    match form {
        ResponseForm::NoContent => ["none", "`204`, without a body"],
        ResponseForm::Text => ["UTF-8 text", "`200`, `text/plain; charset=utf-8`"],
        ResponseForm::Bytes => ["other bytes", "`200`, `application/octet-stream`"],
        ResponseForm::Described => [
            "a record with a number `status` and no other fields than `headers` and `body`",
            "that response: `headers` by name, each a text or a list of texts; `body` like a result; its media type applies unless `headers` has one",
        ],
        ResponseForm::Json => ["anything else", "`200`, `application/json`"],
    }
}

/// Causes in the order of their statuses.
const CAUSES: [Cause; 17] = [
    Cause::BadRequest,
    Cause::NotFound,
    Cause::MethodNotAllowed,
    Cause::NotAcceptable,
    Cause::RequestTimeout,
    Cause::PreconditionFailed,
    Cause::TooLarge,
    Cause::UnsupportedMedia,
    Cause::RangeNotSatisfiable,
    Cause::RateLimited,
    Cause::HeadersTooLarge,
    Cause::Function,
    Cause::Failed,
    Cause::Interrupted,
    Cause::NotImplemented,
    Cause::Unavailable,
    Cause::Deadline,
];

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::BadRequest => {
            "the arguments are missing or invalid, as `detail` explains; or `Host` is missing, repeated or invalid"
        }
        Cause::NotFound => "no route has this path, or its function no longer exists",
        Cause::MethodNotAllowed => {
            "the path has routes, none of them for this method; `Allow` lists the methods"
        }
        Cause::NotAcceptable => {
            "`Accept-Encoding` excludes both `gzip` and `identity`, on a router with `compress`; the function is not called"
        }
        Cause::RequestTimeout => {
            "the body did not arrive within `timeouts.read`; the connection closes"
        }
        Cause::PreconditionFailed => {
            "the file is not the version that `If-Match` or `If-Unmodified-Since` requires"
        }
        Cause::TooLarge => {
            "the body exceeds `limits.max_body_bytes`, by its `Content-Length` or as it arrives"
        }
        Cause::UnsupportedMedia => {
            "`Content-Type` is neither JSON nor, for functions that accept one, a form; or names a charset other than UTF-8; or there is a `Content-Encoding`"
        }
        Cause::RangeNotSatisfiable => {
            "the `Range` begins beyond the end of the file; `Content-Range` has the length"
        }
        Cause::RateLimited => "the client exceeds the router's `ratelimit`; with `Retry-After`",
        Cause::HeadersTooLarge => {
            "the request has more headers than `limits.max_headers`, or a head over `limits.max_header_bytes`; the connection may send the status without a body"
        }
        Cause::Function => {
            "the function returned the error side of its `result`: `error` has the value; a `status` in it replaces the 500"
        }
        Cause::Failed => {
            "the function trapped, exited, exceeded a limit other than time, or called a denied import; the log has the reason under the same request id, the response does not"
        }
        Cause::Interrupted => {
            "the function was still running when the grace period of a stop ended, as `detail` explains; it may have had effects, so there is no `Retry-After`"
        }
        Cause::NotImplemented => {
            "the method is `CONNECT`, or the body has transfer codings other than `chunked`"
        }
        Cause::Unavailable => {
            "the function's pool, the service or the memory of all instances is full, or the function is being stopped, as `detail` explains; immediately, with `Retry-After`"
        }
        Cause::Deadline => "`limits.max_execution_ms` or the router's `timeout` passed",
    }
}

const NOTATIONS: [Notation; 9] = [
    Notation::Verbatim,
    Notation::Bool,
    Notation::Integer,
    Notation::Float,
    Notation::CaseName,
    Notation::Bytes,
    Notation::Repeated,
    Notation::Optional,
    Notation::Json,
];

const SHAPES: [PairsShape; 5] = [
    PairsShape::Tuples,
    PairsShape::Records,
    PairsShape::Map,
    PairsShape::MultiMap,
    PairsShape::Fields,
];

const FORMS: [ResponseForm; 5] = [
    ResponseForm::NoContent,
    ResponseForm::Text,
    ResponseForm::Bytes,
    ResponseForm::Described,
    ResponseForm::Json,
];

/// A table in Markdown.
fn table(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = String::new();
    for (at, row) in rows.into_iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if at == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
    text
}

fn rows<T: Copy, const N: usize>(
    columns: [&str; N],
    rules: &[T],
    row: impl Fn(T) -> [&'static str; N],
) -> String {
    let rows = rules.iter().map(|rule| row(*rule).map(str::to_owned).to_vec());
    table([columns.map(str::to_owned).to_vec()].into_iter().chain(rows))
}

/// All tables, each with its name in the page.
fn tables() -> [(&'static str, String); 9] {
    let parts: Vec<&str> = request::PARTS.iter().map(|part| part.name).collect();
    let fields: Vec<&str> = untyped::FIELDS.iter().map(|field| field.name).collect();
    let part = |name: &'static str| {
        let [types, holds] = part_of_a_request(name);
        [name, types, holds]
    };
    let statuses = CAUSES.iter().map(|of| {
        let status = of.status();
        let reason = status.canonical_reason().unwrap_or_default();
        vec![format!("{} {reason}", status.as_u16()), cause(*of).to_owned()]
    });
    let head = vec!["status".to_owned(), "when".to_owned()];
    [
        ("one parameter", rows(["parameter", "value"], &Binding::ALL, one_parameter)),
        ("several parameters", rows(["source", "value"], &ParamSource::ALL, several_parameters)),
        ("parts of a request", rows(["field", "types", "value"], &parts, part)),
        ("shapes of pairs", rows(["type", "value"], &SHAPES, shape_of_pairs)),
        ("texts", rows(["type", "text"], &NOTATIONS, text)),
        ("results", rows(["result", "response"], &FORMS, result)),
        (
            "untyped request",
            rows(["field", "value"], &fields, |name| [name, field_of_a_table(name)]),
        ),
        ("untyped results", rows(["result", "response"], &FORMS, untyped_result)),
        ("statuses", table([head].into_iter().chain(statuses))),
    ]
}

#[test]
fn documented_tables_equal_the_rules() -> TestResult {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    let mut document = std::fs::read_to_string(&path)?;
    let before = document.clone();
    for (name, table) in tables() {
        assert!(!table.contains("|  |"), "a row of `{name}` has no text: {table}");
        let (open, close) = (format!("<!-- table: {name} -->\n"), "<!-- end -->");
        let start = document.find(&open).ok_or_else(|| format!("no `{open}`"))? + open.len();
        let rest = document.get(start..).unwrap_or_default();
        let end = start + rest.find(close).ok_or_else(|| format!("no end after `{open}`"))?;
        document.replace_range(start..end, &format!("\n{table}\n"));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &document)?;
    } else {
        assert!(before == document, "docs/http.md is out of date: run this test with BLESS=1");
    }
    Ok(())
}
