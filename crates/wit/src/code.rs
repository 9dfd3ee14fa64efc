//! Detection of the format of bytes: core module, component, text, or none of these.

use std::path::Path;

use crisol_core::printable;
use wasmparser::{BinaryReader, KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef};

use crate::error::shorten;

/// Kind of a WebAssembly binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryKind {
    /// Core module: needs [`wrap`](crate::wrap) before it can be called with values.
    Core,
    /// A component.
    Component,
}

/// Reason that bytes are not WebAssembly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// Another format.
    #[error("it is not WebAssembly: it starts with {start}{}", match guess { Some(guess) => format!(", which is {}", guess.what), None => String::new() })]
    NotWasm {
        /// First bytes, as text if they are text.
        start: String,
        /// Likely format of the bytes.
        guess: Option<Guess>,
    },
    /// WebAssembly that ends too early.
    #[error("it is cut short: {what} at byte {at} has {wanted} bytes, and {found} are there")]
    CutShort {
        /// Incomplete part.
        what: &'static str,
        /// Offset of that part, in bytes.
        at: usize,
        /// Bytes that the part declares.
        wanted: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// Module or component of an unsupported version.
    #[error("it is a {what} of version {found}, and this host runs version {known}")]
    OtherVersion {
        /// `core module` or `component`.
        what: &'static str,
        /// Version found.
        found: u16,
        /// Supported version.
        known: u16,
    },
    /// WebAssembly that is neither a module nor a component.
    #[error(
        "it is WebAssembly of an unknown kind: its header is {header}, not `00 61 73 6d 01 00 00 00` (a module) or `00 61 73 6d 0d 00 01 00` (a component)"
    )]
    OtherLayer {
        /// First bytes in hexadecimal.
        header: String,
    },
}

impl CodeError {
    /// Advice for the author of the entry.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotWasm { guess: Some(guess), .. } => guess.fix,
            Self::Empty | Self::CutShort { .. } => "copy it again as a whole, or build it again",
            Self::OtherVersion { found, known, .. } if found < known => {
                "build it with newer tools: it is of a draft"
            }
            Self::OtherVersion { .. } => "build it with older tools, or run a newer host",
            Self::NotWasm { guess: None, .. } | Self::OtherLayer { .. } => {
                "name a file that holds a core module or a component"
            }
        }
    }
}

const MAGIC: &[u8] = b"\0asm";

/// Bytes of the header: magic number, version, layer.
const HEADER: usize = 8;

/// Reads the kind of `bytes` from their header and checks that all sections are complete; does not validate them.
///
/// # Errors
/// Fails when they are neither a module nor a component; the error says what they are.
pub fn parse_code(bytes: &[u8]) -> Result<BinaryKind, CodeError> {
    if bytes.is_empty() {
        return Err(CodeError::Empty);
    }
    if !bytes.starts_with(MAGIC) {
        return Err(CodeError::NotWasm { start: start(bytes), guess: guess(bytes) });
    }
    let Some(&[_, _, _, _, low, high, layer, 0]) = bytes.first_chunk::<HEADER>() else {
        if bytes.len() < HEADER {
            let (what, found) = ("the header", bytes.len());
            return Err(CodeError::CutShort { what, at: 0, wanted: HEADER, found });
        }
        return Err(CodeError::OtherLayer { header: hex(&bytes[..HEADER]) });
    };
    let found = u16::from_le_bytes([low, high]);
    let (kind, what, known) = match layer {
        0 => (BinaryKind::Core, "core module", 1),
        1 => (BinaryKind::Component, "component", 13),
        _ => return Err(CodeError::OtherLayer { header: hex(&bytes[..HEADER]) }),
    };
    if found != known {
        return Err(CodeError::OtherVersion { what, found, known });
    }
    check_sections(bytes).map(|()| kind)
}

/// Checks that each section has its declared length. Validation finds all other faults.
fn check_sections(bytes: &[u8]) -> Result<(), CodeError> {
    /// Highest section number of modules and components.
    const LAST: u8 = 13;
    let mut at = HEADER;
    while let Some((&id, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) {
        let mut reader = BinaryReader::new(rest, at + 1);
        let Ok(wanted) = reader.read_var_u32() else { return Ok(()) };
        let (wanted, found) = (wanted as usize, reader.bytes_remaining());
        if id > LAST {
            return Ok(());
        }
        if wanted > found {
            return Err(CodeError::CutShort { what: "the section", at, wanted, found });
        }
        at = bytes.len() - found + wanted;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("`{}`", pairs.join(" "))
}

/// First bytes, for a message.
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

/// Likely format of bytes that are not WebAssembly, with advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    what: &'static str,
    fix: &'static str,
}

/// First bytes of files that are often mistaken for WebAssembly. Leading white space is skipped.
const GUESSES: &[(&[&[u8]], Guess)] = &[
    (
        &[b"(module", b"(component", b"(;", b";;"],
        Guess {
            what: "the text format",
            fix: "convert it (`wasm-tools parse`), or make it a `function.wat`",
        },
    ),
    (
        &[b"package ", b"world ", b"interface "],
        Guess { what: "WIT text", fix: "name the binary here, and put the text into `wit`" },
    ),
    (&[b"version https://git-lfs"], Guess { what: "a Git LFS pointer", fix: "run `git lfs pull`" }),
    (
        &[
            b"\x7fELF",
            b"MZ",
            b"\xcf\xfa\xed\xfe",
            b"\xce\xfa\xed\xfe",
            b"\xfe\xed\xfa",
            b"\xca\xfe\xba\xbe",
        ],
        Guess { what: "a native program or library", fix: "build it for a WebAssembly target" },
    ),
    (
        &[b"!<arch>", b"BC\xc0\xde"],
        Guess {
            what: "a library or object file of a compiler",
            fix: "link it into a WebAssembly module",
        },
    ),
    (
        &[b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh", b"PK\x03\x04"],
        Guess { what: "compressed data or an archive", fix: "unpack it" },
    ),
    (
        &[b"<"],
        Guess {
            what: "markup, such as the error page of a download",
            fix: "download the binary again",
        },
    ),
    (
        &[b"#!", b"//", b"/*", b"import ", b"export ", b"const ", b"var ", b"\"use strict\""],
        Guess { what: "a script", fix: "name the `.wasm` file that it loads" },
    ),
    (&[b"{"], Guess { what: "JSON", fix: "name the `.wasm` file" }),
];

fn guess(bytes: &[u8]) -> Option<Guess> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let is = |(starts, _): &&(&[&[u8]], Guess)| starts.iter().any(|start| text.starts_with(start));
    GUESSES.iter().find(is).map(|(_, guess)| *guess)
}

/// Error in the WebAssembly text format. The message has the line, the column and the line's text.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", if *.legacy { LEGACY } else { "" })]
pub struct TextError {
    // No source, since its message is in this one.
    error: wat::Error,
    /// True if the error is at an instruction of the legacy exception encoding.
    legacy: bool,
}

const LEGACY: &str =
    "the text uses exceptions in their legacy encoding, which is not read in nested form: ";

impl TextError {
    fn new(error: wat::Error, text: &str) -> Self {
        let legacy = ["try", "do", "catch", "catch_all", "delegate", "rethrow"];
        let at = place(&error.to_string());
        let word = at.and_then(|(line, column)| word(text.lines().nth(line)?, column));
        let is_legacy = |word: &str| legacy.contains(&word) && text.contains("(try");
        Self { legacy: word.is_some_and(is_legacy), error }
    }

    /// Advice to the author of the text.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        if self.legacy {
            return "write it with `try_table`, or without exceptions";
        }
        "correct the text at that line and column: a core module is `(module …)`, a component `(component …)`"
    }
}

/// Line and column, from 0, in a message: the library has no accessor for them.
fn place(message: &str) -> Option<(usize, usize)> {
    let line = message.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let mut numbers =
        line.rsplitn(3, ':').map(|number| number.parse::<usize>().ok()?.checked_sub(1));
    let column = numbers.next()??;
    Some((numbers.next()??, column))
}

/// Word at a column of a line.
fn word(line: &str, column: usize) -> Option<&str> {
    let rest = line.get(column..)?.trim_start_matches('(');
    rest.split(|c: char| c.is_whitespace() || "();".contains(c)).next()
}

/// Function of a core module that contains the byte at `offset`: its name, or its number.
#[must_use]
pub fn function_at(module: &[u8], offset: u64) -> Option<String> {
    let at = usize::try_from(offset).ok()?;
    let (mut next, mut found, mut name) = (0, None, None);
    for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
        match payload {
            Payload::ImportSection(section) => {
                let imports = section.into_imports().map_while(Result::ok);
                let is_function =
                    |ty: &TypeRef| matches!(ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                let functions = imports.filter(|import| is_function(&import.ty)).count();
                next = u32::try_from(functions).ok()?;
            }
            Payload::CodeSectionEntry(body) => {
                // A fault at a function's end is reported at the byte after it.
                let range = body.range();
                if range.contains(&at) || found.is_none() && range.end == at {
                    found = Some(next);
                }
                next = next.checked_add(1)?;
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    name = found.and_then(|found| name_of(names, found));
                }
            }
            _ => {}
        }
    }
    let number = found?;
    let named = |name: String| format!("`${}`", printable(&shorten(&name)));
    Some(name.map_or_else(|| format!("number {number}"), named))
}

fn name_of(names: NameSectionReader<'_>, number: u32) -> Option<String> {
    for subsection in names.into_iter().map_while(Result::ok) {
        let Name::Function(functions) = subsection else { continue };
        let mut functions = functions.into_iter().map_while(Result::ok);
        return functions.find(|naming| naming.index == number).map(|one| one.name.to_owned());
    }
    None
}

/// Converts the text format into the bytes of a module or a component.
///
/// # Errors
/// Fails when the text is malformed; the error has the place, with the name of `file` if there is one.
pub fn parse_text(text: &str, file: Option<&Path>) -> Result<Vec<u8>, TextError> {
    wat::Parser::new().parse_str(file, text).map_err(|error| TextError::new(error, text))
}
