//! Meaning of a scalar by the YAML 1.2 core schema (10.3.2), resolved when a type asks for it.

/// Written style of a scalar, which limits its possible types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Unquoted: a number, a boolean, null or text.
    Plain,
    /// Quoted or a block: text.
    Quoted,
    /// From the command line: any type that the schema expects.
    Untyped,
}

/// A scalar, with escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    pub(crate) style: Style,
}

/// Type and value of a scalar by itself, for untyped fields and error messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ScalarValue<'a> {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    pub(crate) fn new(text: impl Into<Box<str>>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    pub(crate) fn value(&self) -> ScalarValue<'_> {
        if self.style == Style::Quoted {
            return ScalarValue::Text(&self.text);
        }
        match &*self.text {
            "" | "~" | "null" | "Null" | "NULL" => ScalarValue::Null,
            "true" | "True" | "TRUE" => ScalarValue::Bool(true),
            "false" | "False" | "FALSE" => ScalarValue::Bool(false),
            text => match (int(text), float(text)) {
                (Some(int), _) => ScalarValue::Int(int),
                (None, Some(float)) => ScalarValue::Float(float),
                (None, None) => ScalarValue::Text(text),
            },
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value() == ScalarValue::Null
    }

    /// Returns the text, if this is a text. A plain `5` or `true` is not.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match (self.style, self.value()) {
            (_, ScalarValue::Text(text)) => Some(text),
            (Style::Untyped, natural) if natural != ScalarValue::Null => Some(&self.text),
            _ => None,
        }
    }

    /// Describes the scalar in words, for `expected …, found …`.
    pub(crate) fn describe(&self) -> String {
        match self.value() {
            ScalarValue::Null => "null".to_owned(),
            ScalarValue::Bool(_) => format!("the boolean {}", quote(&self.text)),
            ScalarValue::Int(_) | ScalarValue::Float(_) => {
                format!("the number {}", quote(&self.text))
            }
            ScalarValue::Text(text) => format!("the text {}", quote(text)),
        }
    }
}

/// Formats a text for an error message: in backticks, on one line, shortened if long.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", shorten(text))
}

/// Formats a text like [`quote`], without the backticks.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(visible).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Maximum number of characters in a quoted text.
const SHOWN: usize = 60;

/// Yields a character, or the escape of an invisible one.
fn visible(c: char) -> impl Iterator<Item = char> {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let escaped = hidden.then(|| c.escape_default());
    let plain = (!hidden).then_some(c);
    plain.into_iter().chain(escaped.into_iter().flatten())
}

fn int(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return unsigned(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return unsigned(octal, 8);
    }
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| i128::from_str_radix(digits, radix).ok()).flatten()
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let numeric =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+');
    let begins = unsigned.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    let fits =
        begins && unsigned.bytes().all(numeric) && unsigned.bytes().any(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}
