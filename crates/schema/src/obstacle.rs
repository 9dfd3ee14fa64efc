//! Reasons why a field of an entry is not written into its index file.

use std::fmt;

/// Reason why a field cannot be written in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The entry's fields stand at another place: the entry, or its `data`, is an alias.
    Fields,
    /// The value has an anchor, as it is written.
    Anchor(String),
    /// The value, or an item of it, is an alias, as it is written.
    Alias(String),
    /// The value has a tag, as it is written.
    Tag(String),
    /// The list stands in brackets and has comments, whose items nothing tells.
    Comments,
    /// The value is no list of texts.
    NoList,
    /// Another place of the file would change too: an anchor around the value names it.
    Shared,
    /// The text around it leaves no place.
    Unplaced,
}

impl Obstacle {
    /// Words before the line to write by hand.
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
