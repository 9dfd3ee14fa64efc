//! Export that a function entry calls.

use std::fmt;
use std::str::FromStr;

use super::form::{InvalidValue, text_value};
use crate::rule::Rule;
use crate::yaml::quote;

/// Export that a function calls: a name, or `interface#func`. The crates that open the module check that it
/// has this export.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(Box<str>);

impl Method {
    /// Returns the text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before `#` as written, possibly without package and version.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        self.0.split_once('#').map(|(interface, _)| interface)
    }

    /// Returns the part after `#`, or the whole text.
    #[must_use]
    pub fn function(&self) -> &str {
        self.0.split_once('#').map_or(&self.0, |(_, function)| function)
    }
}

impl FromStr for Method {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bad = |why: &str| {
            let message = format!("{} is not a method: {why}", quote(text));
            let help = "write the name of an export, or `interface#func`";
            Err(InvalidValue::new(Rule::BAD_FORM, message, help))
        };
        if text.is_empty() {
            return bad("it is empty");
        }
        if text.len() > 1024 {
            return bad("it is over 1024 bytes long");
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return bad("it has control characters or surrounding spaces");
        }
        let parts: Vec<&str> = text.split('#').collect();
        if parts.len() > 2 || (parts.len() == 2 && parts.contains(&"")) {
            return bad("one `#` must have a name on both sides");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(Method, "text", "my-function", {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024
});
