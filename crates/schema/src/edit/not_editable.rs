//! Reasons that a field of an entry cannot be written into its index file.

use std::fmt;

/// Reason a field cannot be written in place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotEditable {
    /// The entry or its `data` is an alias, so its fields are written elsewhere.
    Fields,
    /// The value has an anchor; holds the token, `&name`.
    Anchor(String),
    /// The value or one of its items is an alias; holds the token, `*name`.
    Alias(String),
    /// The value has a tag; holds the token, `!tag`.
    Tag(String),
    /// The list is in brackets and has comments, which cannot be matched to its items.
    Comments,
    /// The value is not a list of texts.
    NotAList,
    /// An anchor around the value has aliases, so the edit would change other places of the file too.
    Shared,
    /// The surrounding text has no place for the value.
    Unplaced,
}

impl NotEditable {
    /// Returns the words before the line to write by hand.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Fields => "write the fields of the entry itself, with",
            Self::Anchor(_) => "check what its aliases need, and write by hand",
            Self::Shared => "check what the others need, and write by hand",
            Self::Alias(_) => "replace the alias by",
            Self::Tag(_) | Self::Comments | Self::NotAList | Self::Unplaced => "write by hand",
        }
    }
}

impl fmt::Display for NotEditable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields => f.write_str("the fields of the entry come from an alias"),
            Self::Anchor(token) => {
                write!(f, "its value has the anchor `{token}`, and aliases may share it")
            }
            Self::Alias(token) => {
                write!(f, "`{token}` is an alias of a shared value")
            }
            Self::Tag(token) => write!(f, "its value has the tag `{token}`"),
            Self::Comments => {
                f.write_str("its list is in brackets and has comments, which would be lost")
            }
            Self::NotAList => f.write_str("its value is not a list of texts"),
            Self::Shared => f.write_str("other entries of the file share its value by an anchor"),
            Self::Unplaced => f.write_str("the text around it has no place for the edit"),
        }
    }
}
