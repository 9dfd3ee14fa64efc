//! Names of variables, headers and commands, and permission bits of files.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::form::{InvalidValue, text_value};
use crate::decode::{Decode, DecodeContext, ScalarText};
use crate::rule::Rule;
use crate::yaml::{Node, quote};

/// Name of an environment variable: not empty, without `=` and control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvName(Box<str>);

impl EnvName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let odd = text.chars().find(|&c| c == '=' || c.is_control() || c.is_whitespace());
        let why = match odd {
            Some(odd) => format!("it has {odd:?}"),
            None if text.is_empty() => "it is empty".to_owned(),
            None if text.len() > 1024 => "it is over 1024 bytes long".to_owned(),
            None => return Ok(Self(text.into())),
        };
        let message = format!("{} is not a variable name: {why}", quote(text));
        Err(InvalidValue::new(Rule::BAD_FORM, message, "write a name such as `API_KEY`"))
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(EnvName, "text", "API_KEY", {
    "type": "string",
    "pattern": "^[^=\\s]+$",
    "maxLength": 1024
});

/// Name of a header (RFC 9110, 5.6.2), in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderName(pub(crate) String);

impl FromStr for HeaderName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !text.is_empty() && text.bytes().all(token) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let message = format!("{} is not a header name", quote(text));
        let help = "use letters, digits and `-`, such as `x-request-id`";
        Err(InvalidValue::new(Rule::BAD_FORM, message, help))
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(HeaderName, "text", "x-request-id", {
    "type": "string",
    "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
});

/// Name of a command for `crisol run`: letters, digits, `_`, `-`, `.` and `:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandName(Box<str>);

impl CommandName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommandName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        let good = !text.is_empty()
            && text.len() <= 200
            && !text.starts_with('-')
            && text.chars().all(fits);
        if good {
            return Ok(Self(text.into()));
        }
        let message = format!("{} is not a command name", quote(text));
        let help =
            "use up to 200 letters, digits, `_`, `-`, `.` and `:`, and do not begin with `-`";
        Err(InvalidValue::new(Rule::BAD_FORM, message, help))
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(CommandName, "text", "import-users", {
    "type": "string",
    "pattern": "^[A-Za-z0-9_.:][A-Za-z0-9_.:-]*$",
    "maxLength": 200
});

/// Permission bits of a created file or folder, in octal: `0640`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileMode(u16);

impl FileMode {
    /// Returns the bits, at most `0o777`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl FromStr for FileMode {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = if octal { u16::from_str_radix(digits, 8).ok() } else { None };
        bits.filter(|&bits| bits <= 0o777 && digits.len() >= 3).map(Self).ok_or_else(|| {
            let message = format!("{} is not a file mode", quote(text));
            let help = "write three octal digits in quotes, such as `\"0755\"`";
            InvalidValue::new(Rule::BAD_FORM, message, help)
        })
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Reads the digits as written, since YAML takes `0755` without quotes for a number.
impl Decode for FileMode {
    const EXAMPLE: &'static str = "\"0755\"";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match ScalarText::decode(node, cx)?.0.parse::<Self>() {
            Ok(mode) => Some(mode),
            Err(bad) => {
                cx.report(node.span, bad.report());
                None
            }
        }
    }
}

impl JsonSchema for FileMode {
    fn schema_name() -> Cow<'static, str> {
        "FileMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "string", "pattern": "^(0o?)?[0-7]{3}$"},
                {"type": "integer", "minimum": 0, "maximum": 777}
            ]
        })
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
