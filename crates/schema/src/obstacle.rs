//! Obstacles to writing a field of an entry into its index file.

use std::fmt;

/// Reason a field cannot be written in place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The entry or its `data` is an alias, so its fields stand elsewhere.
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
    NoList,
    /// An anchor around the value has aliases, so the edit would change other places of the file too.
    Shared,
    /// The surrounding text has no place for the value.
    Unplaced,
}

impl Obstacle {
    /// Returns the words before the line to write by hand.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Fields => "write the entry out with",
            Self::Anchor(_) | Self::Shared => {
                "see that what else has it stays right, and write by hand"
            }
            Self::Alias(_) => "write in place of it",
            Self::Tag(_) | Self::Comments | Self::NoList | Self::Unplaced => "write by hand",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields => f.write_str("the entry has its fields by an alias"),
            Self::Anchor(token) => {
                write!(f, "its value has the anchor `{token}`, by which other places may have it")
            }
            Self::Alias(token) => {
                write!(f, "`{token}` stands for a value that other places have too")
            }
            Self::Tag(token) => write!(f, "its value has the tag `{token}`"),
            Self::Comments => {
                f.write_str("its list stands in brackets and has comments, which would be lost")
            }
            Self::NoList => f.write_str("its value is no list of texts"),
            Self::Shared => {
                f.write_str("other places of the file have the same value, by an anchor")
            }
            Self::Unplaced => f.write_str("the text around it leaves no place for an edit"),
        }
    }
}
