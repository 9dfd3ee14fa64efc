//! The names of rules, which tools filter problems by.

use std::fmt;

/// The stable name of a rule, such as `unknown-field`: what tools filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(&'static str);

impl Rule {
    /// Names a rule of another crate, in `kebab-case`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
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
    /// A file or folder of the app cannot be read.
    IO = "io",
    /// A file is larger than the loader reads.
    TOO_LARGE = "too-large",
    /// A file is not UTF-8.
    NOT_UTF8 = "not-utf8",
    /// There is no index file.
    NO_INDEX = "no-index",
    /// A text is not YAML (or JSON).
    YAML_SYNTAX = "yaml-syntax",
    /// Lists and maps nest too deep.
    YAML_DEPTH = "yaml-depth",
    /// Aliases name themselves, or stand for too much.
    YAML_ALIAS = "yaml-alias",
    /// A file holds a second document.
    YAML_DOCUMENTS = "yaml-documents",
    /// A tag that means nothing here.
    YAML_TAG = "yaml-tag",
    /// A key that is not text, or a merge of something that is not a map.
    YAML_KEY = "yaml-key",
    /// A key is in one map twice.
    YAML_DUPLICATE_KEY = "yaml-duplicate-key",
    /// The file's `version` is not known.
    VERSION = "version",
    /// A file names no namespace and none was given.
    NO_NAMESPACE = "no-namespace",
    /// A namespace, a name or an id is misspelt.
    BAD_NAME = "bad-name",
    /// Two entries have one id.
    DUPLICATE_ID = "duplicate-id",
    /// A kind that does not exist.
    UNKNOWN_KIND = "unknown-kind",
    /// A field that the place does not have.
    UNKNOWN_FIELD = "unknown-field",
    /// A field that must be there is not.
    MISSING_FIELD = "missing-field",
    /// Fields stand both under `data` and beside it.
    MIXED_DATA = "mixed-data",
    /// A value of another type than the field's.
    WRONG_TYPE = "wrong-type",
    /// A number outside its range, or a list or text too long.
    BAD_RANGE = "bad-range",
    /// A word that is none of the allowed ones.
    UNKNOWN_VALUE = "unknown-value",
    /// A text that is not in its field's form.
    BAD_FORM = "bad-form",
    /// A hash that is not `sha256:` and 64 hexadecimal digits.
    BAD_HASH = "bad-hash",
    /// A path that is not absolute, or leaves its place.
    BAD_PATH = "bad-path",
    /// A `file://` source that is missing, unreadable or outside the app.
    BAD_SOURCE = "bad-source",
    /// Something that must be unique is there twice.
    DUPLICATE = "duplicate",
    /// Fields that contradict one another.
    CONFLICT = "conflict",
    /// A reference to an entry that does not exist.
    DANGLING_REFERENCE = "dangling-reference",
    /// A reference to an entry of a kind that does not serve there.
    WRONG_KIND = "wrong-kind",
    /// Entries that refer to themselves in a ring.
    CYCLE = "cycle",
    /// Two routes that answer the same requests.
    ROUTE_CONFLICT = "route-conflict",
    /// A route without `cors` answers the preflights of one with it.
    PREFLIGHT = "preflight",
    /// More than one router or service could be meant.
    AMBIGUOUS = "ambiguous",
    /// A setting that changes nothing where it stands.
    NO_EFFECT = "no-effect",
    /// An entry that nothing uses.
    UNUSED = "unused",
    /// An override that names no entry or no field, or is not in the form `id:path=value`.
    BAD_OVERRIDE = "bad-override",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}
