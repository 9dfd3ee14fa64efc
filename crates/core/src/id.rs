//! Names of registry entries: `namespace:name`.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Maximum length of a namespace or a name, in bytes.
const MAX_LEN: usize = 200;

/// The namespace of an entry: dotted words such as `myns` or `app.users`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Arc<str>);

/// The name of an entry inside its namespace, such as `transform_users`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// The id of a registry entry: a namespace and a name joined by a colon, `myns:compute`.
///
/// Cloning costs a reference count. Comparison and hash are those of the text, so a map keyed by ids can be
/// searched with a plain `&str`.
///
/// ```
/// let id: crisol_core::EntryId = "myns:compute".parse()?;
/// assert_eq!((id.namespace(), id.name()), ("myns", "compute"));
/// # Ok::<(), crisol_core::EntryIdError>(())
/// ```
#[derive(Clone)]
pub struct EntryId {
    text: Arc<str>,
    colon: u16,
}

/// Error for a text that is not a [`Namespace`] or a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("is empty: give it at least one letter, digit or `_`")]
    Empty,
    /// The text is longer than the limit.
    #[error("is {found} bytes long: at most {MAX_LEN} are allowed")]
    TooLong {
        /// Length found, in bytes.
        found: usize,
    },
    /// The text has a character that is not allowed in names.
    #[error(
        "has {found:?} at byte {at}: use letters, digits, `_`, `-` and `.`, and begin with a letter, digit or `_`"
    )]
    Character {
        /// The character.
        found: char,
        /// Position of the character, in bytes from the start.
        at: usize,
    },
}

/// Error for a text that is not an [`EntryId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryIdError {
    /// The text has no colon.
    #[error("`{text}` is not an entry id: write `namespace:name`")]
    NoColon {
        /// The text that was parsed.
        text: String,
    },
    /// The part before the colon is not a namespace.
    #[error("the namespace of `{text}` {problem}")]
    Namespace {
        /// The text that was parsed.
        text: String,
        /// The problem with the namespace.
        problem: NameError,
    },
    /// The part after the colon is not a name.
    #[error("the name in `{text}` {problem}")]
    Name {
        /// The text that was parsed.
        text: String,
        /// The problem with the name.
        problem: NameError,
    },
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(NameError::TooLong { found: text.len() });
    }
    let fits = |at: usize, c: char| {
        c.is_ascii_alphanumeric() || c == '_' || (at > 0 && (c == '-' || c == '.'))
    };
    match text.char_indices().find(|&(at, c)| !fits(at, c)) {
        Some((at, found)) => Err(NameError::Character { found, at }),
        None => Ok(()),
    }
}

impl EntryId {
    /// Joins a valid namespace and a valid name.
    #[must_use]
    pub fn new(namespace: &Namespace, name: &Name) -> Self {
        let colon = namespace.0.len() as u16;
        Self { text: format!("{namespace}:{name}").into(), colon }
    }

    /// Parses a reference: `ns:name`, or a bare `name` in the given namespace.
    ///
    /// # Errors
    /// Fails if either part is not a valid name.
    pub fn resolve(reference: &str, namespace: &Namespace) -> Result<Self, EntryIdError> {
        if reference.contains(':') {
            return reference.parse();
        }
        match reference.parse::<Name>() {
            Ok(name) => Ok(Self::new(namespace, &name)),
            Err(problem) => Err(EntryIdError::Name { text: reference.to_owned(), problem }),
        }
    }

    /// The part before the colon.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.text[..usize::from(self.colon)]
    }

    /// The part after the colon.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[usize::from(self.colon) + 1..]
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole id, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((namespace, name)) = text.split_once(':') else {
            return Err(EntryIdError::NoColon { text: text.to_owned() });
        };
        if let Err(problem) = check(namespace) {
            return Err(EntryIdError::Namespace { text: text.to_owned(), problem });
        }
        if let Err(problem) = check(name) {
            return Err(EntryIdError::Name { text: text.to_owned(), problem });
        }
        Ok(Self { text: text.into(), colon: namespace.len() as u16 })
    }
}

impl PartialEq for EntryId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for EntryId {}

impl PartialOrd for EntryId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EntryId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

// Must equal the hash of the text, as `Borrow<str>` requires.
impl Hash for EntryId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for EntryId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for EntryId {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({})", self.text)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

macro_rules! checked_text {
    ($type:ident) => {
        impl $type {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

checked_text!(Namespace);
checked_text!(Name);

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check_id(text: &str, expected: Expect) {
        let shown = match text.parse::<EntryId>() {
            Ok(id) => format!("{} / {}", id.namespace(), id.name()),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn ids_are_a_namespace_and_a_name() {
        check_id("myns:compute", expect!["myns / compute"]);
        check_id("app.users-2:_x.y-z", expect!["app.users-2 / _x.y-z"]);
        check_id("compute", expect!["`compute` is not an entry id: write `namespace:name`"]);
        check_id(
            ":x",
            expect!["the namespace of `:x` is empty: give it at least one letter, digit or `_`"],
        );
        check_id(
            "a:",
            expect!["the name in `a:` is empty: give it at least one letter, digit or `_`"],
        );
        check_id(
            "a:b:c",
            expect![
                "the name in `a:b:c` has ':' at byte 1: use letters, digits, `_`, `-` and `.`, and begin with a letter, digit or `_`"
            ],
        );
        check_id(
            "a:é",
            expect![
                "the name in `a:é` has 'é' at byte 0: use letters, digits, `_`, `-` and `.`, and begin with a letter, digit or `_`"
            ],
        );
        check_id(
            "..:x",
            expect![
                "the namespace of `..:x` has '.' at byte 0: use letters, digits, `_`, `-` and `.`, and begin with a letter, digit or `_`"
            ],
        );
        assert!(format!("a:{}", "x".repeat(201)).parse::<EntryId>().is_err());
    }

    #[test]
    fn a_bare_reference_means_the_own_namespace() -> Result<(), Box<dyn std::error::Error>> {
        let here: Namespace = "myns".parse()?;
        assert_eq!(EntryId::resolve("assets", &here)?.as_str(), "myns:assets");
        assert_eq!(EntryId::resolve("other:assets", &here)?.as_str(), "other:assets");
        assert!(EntryId::resolve("a b", &here).is_err());
        Ok(())
    }

    #[test]
    fn a_map_of_ids_is_searched_by_text() -> Result<(), EntryIdError> {
        let map = std::collections::HashMap::from([("a:b".parse::<EntryId>()?, 1)]);
        assert_eq!(map.get("a:b"), Some(&1));
        Ok(())
    }
}
