//! Arguments of functions, from the command line, files and standard input.

use std::fs::File;
use std::io::Read;

use anyhow::{Context as _, ensure};
use crisol::signature::{Signature, Type};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Most bytes read from a file or standard input.
const MAX_READ: u64 = 1 << 30;

/// Argument as given.
pub(crate) enum Given {
    /// Text on the command line.
    Typed(String),
    /// Content of a file or of standard input.
    Read(Vec<u8>),
}

impl Given {
    /// Takes arguments as their text.
    pub(crate) fn typed(args: &[String]) -> Vec<Self> {
        args.iter().cloned().map(Self::Typed).collect()
    }

    /// Reads the arguments that name a file (`@path`) or standard input (`-`).
    pub(crate) fn read(args: &[String]) -> anyhow::Result<Vec<Self>> {
        let stdin = args.iter().filter(|arg| *arg == "-").count();
        ensure!(stdin < 2, "`-` is given {stdin} times, and standard input can be read once");
        let read = |(at, arg): (usize, &String)| match (arg.as_str(), arg.strip_prefix('@')) {
            ("-", _) => bounded(std::io::stdin().lock())
                .map(Self::Read)
                .with_context(|| format!("argument {}: cannot read standard input", at + 1)),
            (_, Some(path)) if !path.is_empty() => File::open(path)
                .map_err(Into::into)
                .and_then(bounded)
                .map(Self::Read)
                .with_context(|| {
                    let text = Value::from(arg.as_str());
                    format!("argument {}: cannot read `{path}` (as a text it is `{text}`)", at + 1)
                }),
            _ => Ok(Self::Typed(arg.clone())),
        };
        args.iter().enumerate().map(read).collect()
    }

    /// Returns the text; fails for bytes that are not UTF-8.
    pub(crate) fn text(&self) -> anyhow::Result<&str> {
        match self {
            Self::Typed(text) => Ok(text),
            Self::Read(bytes) => Ok(std::str::from_utf8(bytes)?),
        }
    }

    /// Converts the argument to JSON, by the wanted type.
    fn json(&self, wanted: Option<&Type>) -> anyhow::Result<String> {
        let (wanted, is_option) = match wanted {
            Some(Type::Option(inner)) => (Some(&**inner), true),
            other => (other, false),
        };
        // The content of a file is the list of its bytes, in any format.
        if let (Self::Read(bytes), Some(Type::List(item))) = (self, wanted)
            && **item == Type::U8
        {
            return Ok(match std::str::from_utf8(bytes) {
                Ok(text) => serde_json::to_string(text)?,
                Err(_) => serde_json::to_string(bytes)?,
            });
        }
        let text = self.text()?;
        let begins = |with: &[char]| text.trim_start().starts_with(with);
        // Parsing as a value has better messages, and refuses numbers out of range.
        let error = serde_json::from_str::<IgnoredAny>(text).err();
        let error = error.map(|error| serde_json::from_str::<Value>(text).err().unwrap_or(error));
        let is_json = match wanted {
            // Any other JSON is plain text here.
            Some(Type::String | Type::Char | Type::Enum(_)) => {
                error.is_none() && (begins(&['"']) || is_option && text.trim() == "null")
            }
            _ => match error {
                None => true,
                Some(error) if begins(&['{', '[', '"']) => return Err(not_json(&error)),
                Some(_) => false,
            },
        };
        Ok(if is_json { text.to_owned() } else { serde_json::to_string(text)? })
    }
}

/// JSON array of the arguments, each by the type of its parameter.
pub(crate) fn json_array(args: &[Given], signature: Option<&Signature>) -> anyhow::Result<String> {
    let params = signature.map_or(&[][..], |signature| &signature.params);
    let one = |(at, arg): (usize, &Given)| {
        let param = params.get(at);
        arg.json(param.map(|param| &param.ty)).with_context(|| {
            let name = param.map_or_else(String::new, |param| format!(" ({})", param.name));
            format!("argument {}{name}", at + 1)
        })
    };
    let items: Vec<String> = args.iter().enumerate().map(one).collect::<anyhow::Result<_>>()?;
    Ok(format!("[{}]", items.join(",")))
}

fn bounded(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_READ + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MAX_READ, "it is larger than {MAX_READ} bytes");
    Ok(bytes)
}

/// Error for text that looks like JSON but is malformed.
fn not_json(error: &serde_json::Error) -> anyhow::Error {
    let (line, column) = (error.line(), error.column());
    let why = error.to_string();
    let why = why.split(&format!(" at line {line} ")).next().unwrap_or("");
    let line = if line > 1 { format!("line {line}, ") } else { String::new() };
    anyhow::anyhow!("not valid JSON: {line}column {column}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crisol::signature::Type::{Enum, F64, List, Option as Maybe, S32, String as Text, U8};

    fn json(text: &str, ty: Option<&Type>) -> String {
        match Given::Typed(text.to_owned()).json(ty) {
            Ok(json) => json,
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn an_argument_is_json_or_else_text() {
        for text in ["6", "-0.5", "{\"a\": [1]}", "\"6\"", "null"] {
            assert_eq!(json(text, None), text);
        }
        assert_eq!(json("Ana \"la\"", None), r#""Ana \"la\"""#);
        assert_eq!((json("", None), json("NaN", Some(&F64))), ("\"\"".into(), "\"NaN\"".into()));
        assert_eq!(json_array(&[], None).ok().as_deref(), Some("[]"));
    }

    #[test]
    fn string_argument_is_plain_text_unless_a_json_string() {
        let maybe = Maybe(Box::new(Text));
        for ty in [Text, Type::Char, Enum(vec!["true".to_owned()]), maybe.clone()] {
            for text in ["6", "true", "{\"a\":1}", "[1", "\"open"] {
                assert_eq!(json(text, Some(&ty)), Value::from(text).to_string());
            }
            assert_eq!(json(r#""6""#, Some(&ty)), r#""6""#);
        }
        assert_eq!(
            (json("null", Some(&Text)), json("null", Some(&maybe))),
            ("\"null\"".into(), "null".into())
        );
    }

    #[test]
    fn malformed_json_is_refused_with_its_column() {
        let list = List(Box::new(S32));
        assert_eq!(json("[1, 2,]", Some(&list)), "not valid JSON: column 7: trailing comma");
        assert_eq!(
            json("{\n a: 1}", None),
            "not valid JSON: line 2, column 2: key must be a string"
        );
    }

    #[test]
    fn bytes_of_a_file_are_the_bytes() {
        let bytes = List(Box::new(U8));
        let json = |read: &[u8]| Given::Read(read.to_vec()).json(Some(&bytes)).ok();
        assert_eq!(json(b"[1]").as_deref(), Some("\"[1]\""));
        assert_eq!(json(b"\xff\x00").as_deref(), Some("[255,0]"));
        assert!(Given::Read(vec![0xff]).json(Some(&Text)).is_err());
    }
}
