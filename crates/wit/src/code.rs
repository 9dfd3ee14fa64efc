//! What bytes are: a core module, a component, text, or none of these.

use std::path::Path;

/// What WebAssembly bytes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A core module: it needs [`wrap`](crate::wrap) before it can be called with values.
    Core,
    /// A component.
    Component,
}

/// Why bytes are not WebAssembly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Something else.
    #[error("it is not WebAssembly: it starts with {start}{}", match guess { Some(guess) => format!(", which is {guess}"), None => String::new() })]
    NotWasm {
        /// The first bytes, as text where they are.
        start: String,
        /// What they look like.
        guess: Option<&'static str>,
    },
    /// WebAssembly, cut short or of a version that is not known.
    #[error(
        "it is WebAssembly of an unknown version: its header is {header}, not `00 61 73 6d 01 00 00 00` (a module) or `00 61 73 6d 0d 00 01 00` (a component)"
    )]
    Version {
        /// The first bytes in hexadecimal.
        header: String,
    },
}

const MAGIC: &[u8] = b"\0asm";

/// Says what `bytes` hold by their header; it does not validate them.
///
/// # Errors
/// When they are neither a module nor a component, saying what they start with.
pub fn parse_code(bytes: &[u8]) -> Result<Kind, CodeError> {
    if bytes.is_empty() {
        return Err(CodeError::Empty);
    }
    let Some(version) = bytes.strip_prefix(MAGIC) else {
        return Err(CodeError::NotWasm { start: start(bytes), guess: guess(bytes) });
    };
    match version.get(..4) {
        Some([1, 0, 0, 0]) => Ok(Kind::Core),
        Some([0x0d, 0, 1, 0]) => Ok(Kind::Component),
        _ => Err(CodeError::Version { header: hex(bytes.get(..8).unwrap_or(bytes)) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("`{}`", pairs.join(" "))
}

/// The first bytes, for a message.
fn start(bytes: &[u8]) -> String {
    let head = bytes.get(..16).unwrap_or(bytes);
    let printable =
        |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    if head.iter().all(printable) {
        format!("`{}`", String::from_utf8_lossy(head).escape_debug())
    } else {
        hex(bytes.get(..8).unwrap_or(bytes))
    }
}

fn guess(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    let known: [(&[u8], &'static str); 9] = [
        (b"(module", "the text format: convert it to binary, or use `function.wat`"),
        (b"(component", "the text format: convert it to binary, or use `function.wat`"),
        (b";;", "the text format: convert it to binary, or use `function.wat`"),
        (b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull`"),
        (b"\x7fELF", "a native executable: build it for a WebAssembly target"),
        (b"\x1f\x8b", "gzip data: unpack it"),
        (b"PK\x03\x04", "a zip archive: unpack it"),
        (b"<", "markup, such as the error page of a download"),
        (b"{", "JSON"),
    ];
    known.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, what)| *what)
}

/// Why text is not WebAssembly's text format. Its message has the line, the column and the line's text.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TextError(#[from] wat::Error);

/// Turns the text format into the bytes of a module or a component.
///
/// # Errors
/// When the text is malformed; the error says where, under the name of `file` if there is one.
pub fn parse_text(text: &str, file: Option<&Path>) -> Result<Vec<u8>, TextError> {
    Ok(wat::Parser::new().parse_str(file, text)?)
}
