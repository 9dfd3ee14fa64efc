//! Names of rules, by which tools filter problems.

use std::fmt;

/// Stable name of a rule, such as `unknown-field`, by which tools filter problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(&'static str);

impl Rule {
    /// Creates a rule of another crate from a `kebab-case` name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)*) => {
        impl Rule {
            $($(#[$doc])+ pub const $name: Self = Self($text);)*

            /// Every rule of this crate.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

rules! {
    /// An unreadable file or folder.
    IO = "io",
    /// A file over the size limit.
    TOO_LARGE = "too-large",
    /// A file that is not UTF-8.
    NOT_UTF8 = "not-utf8",
    /// An app without an index file.
    NO_INDEX = "no-index",
    /// A text that is not YAML (or JSON).
    YAML_SYNTAX = "yaml-syntax",
    /// Lists and maps nested too deeply.
    YAML_DEPTH = "yaml-depth",
    /// Aliases that are recursive or expand to too many values.
    YAML_ALIAS = "yaml-alias",
    /// A file with a second document.
    YAML_DOCUMENTS = "yaml-documents",
    /// An unsupported or mismatched tag.
    YAML_TAG = "yaml-tag",
    /// A key that is not text, or a merge of something that is not a map.
    YAML_KEY = "yaml-key",
    /// A duplicate key in a map.
    YAML_DUPLICATE_KEY = "yaml-duplicate-key",
    /// An unknown `version` of the file.
    VERSION = "version",
    /// A file without a namespace, and no default was given.
    NO_NAMESPACE = "no-namespace",
    /// A malformed namespace, name or id.
    BAD_NAME = "bad-name",
    /// A duplicate entry id.
    DUPLICATE_ID = "duplicate-id",
    /// An unknown kind.
    UNKNOWN_KIND = "unknown-kind",
    /// An unknown field.
    UNKNOWN_FIELD = "unknown-field",
    /// A missing required field.
    MISSING_FIELD = "missing-field",
    /// Fields both under `data` and beside it.
    MIXED_DATA = "mixed-data",
    /// A value of the wrong type.
    WRONG_TYPE = "wrong-type",
    /// A number out of range, or a list or text that is too long.
    BAD_RANGE = "bad-range",
    /// A word outside a closed list.
    UNKNOWN_VALUE = "unknown-value",
    /// A text of the wrong form.
    BAD_FORM = "bad-form",
    /// A hash that is not `sha256:` and 64 hexadecimal digits.
    BAD_HASH = "bad-hash",
    /// A path that is not absolute, or leaves its root.
    BAD_PATH = "bad-path",
    /// A `file://` source that is missing, unreadable or outside the app.
    BAD_SOURCE = "bad-source",
    /// A duplicate of something that must be unique.
    DUPLICATE = "duplicate",
    /// Fields that contradict one another.
    CONFLICT = "conflict",
    /// A reference to an entry that does not exist.
    DANGLING_REFERENCE = "dangling-reference",
    /// A reference to an entry of the wrong kind.
    WRONG_KIND = "wrong-kind",
    /// A cycle of references.
    CYCLE = "cycle",
    /// Two routes for the same requests.
    ROUTE_CONFLICT = "route-conflict",
    /// A route without `cors` that answers the preflights of a route with it.
    PREFLIGHT = "preflight",
    /// More than one candidate for an omitted router or service.
    AMBIGUOUS = "ambiguous",
    /// A setting without effect.
    NO_EFFECT = "no-effect",
    /// An unused entry.
    UNUSED = "unused",
    /// An override that names no entry or no field, or is not in the form `id:path=value`.
    BAD_OVERRIDE = "bad-override",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}
