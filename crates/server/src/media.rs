//! Media types: of files by their extensions, and those that compress well.

use std::path::Path;

use http::HeaderValue;

/// Media type of a file by its extension, for `Content-Type`.
///
/// Text is declared as UTF-8. JSON has no charset parameter, and XML other than `text/xml` names its encoding
/// itself.
pub(crate) fn of_file(name: &str) -> HeaderValue {
    let raw = match mime_guess::from_path(name).first_raw() {
        // RFC 9239 makes the others obsolete.
        Some("application/javascript" | "application/ecmascript") => "text/javascript",
        Some(raw) => raw,
        None => "application/octet-stream",
    };
    let with_charset = || HeaderValue::try_from(format!("{raw}; charset=utf-8")).ok();
    raw.starts_with("text/")
        .then(with_charset)
        .flatten()
        .unwrap_or_else(|| HeaderValue::from_static(raw))
}

/// True if a file is stored compressed under the media type of its content.
pub(crate) fn is_gzipped_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svgz"))
}

/// Types that compress well, besides all text and all types with the suffix of a text format.
const COMPRESSIBLE: &[&str] = &[
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/json-seq",
    "application/json5",
    "application/jsonl",
    "application/ndjson",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/typescript",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-font-otf",
    "application/x-font-ttf",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/collection",
    "font/otf",
    "font/sfnt",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "image/x-ms-bmp",
];

/// Suffixes of types with a text format (RFC 6839).
const TEXT_SUFFIXES: &[&str] = &["+json", "+json-seq", "+xml", "+yaml"];

/// True if content of a type gets smaller by compression. Unknown types and arbitrary bytes may already be
/// compressed; event streams must be delivered without delay.
pub(crate) fn is_compressible(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = essence.starts_with("text/") && essence != "text/event-stream";
    is_text
        || TEXT_SUFFIXES.iter().any(|suffix| essence.ends_with(suffix))
        || COMPRESSIBLE.contains(&essence.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_files_have_a_charset_and_others_none() {
        for (name, content_type) in [
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.svgz", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.png", "image/png"),
            ("a", "application/octet-stream"),
            ("txt", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
        ] {
            assert_eq!(of_file(name), content_type, "{name}");
        }
    }

    #[test]
    fn compressed_and_unknown_types_are_not_compressible() {
        let gains = |text| is_compressible(&HeaderValue::from_static(text));
        for yes in [
            "text/plain",
            "TEXT/HTML; charset=utf-8",
            "application/json",
            "application/problem+json",
            "application/ld+json ; profile=a",
            "image/svg+xml",
            "application/wasm",
            "font/ttf",
        ] {
            assert!(gains(yes), "{yes}");
        }
        for no in [
            "",
            "text/event-stream",
            "text/event-stream; charset=utf-8",
            "application/octet-stream",
            "image/png",
            "image/jpeg",
            "image/avif",
            "video/mp4",
            "audio/ogg",
            "font/woff",
            "font/woff2",
            "application/gzip",
            "application/x-gzip",
            "application/zip",
            "application/zstd",
            "application/x-7z-compressed",
            "application/pdf",
            "application/grpc",
            "multipart/x-mixed-replace; boundary=a",
        ] {
            assert!(!gains(no), "{no}");
        }
        for file in ["a.gz", "a.tgz", "a.zip", "a.zst", "a.br", "a.xz", "a.bz2", "a.7z", "a.woff2"]
        {
            assert!(!is_compressible(&of_file(file)), "{file}");
        }
    }
}
