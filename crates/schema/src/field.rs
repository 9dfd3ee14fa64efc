//! Fields of entries: as types for checks, and as paths such as `wasi.mounts[0].guest` in the order of the file.

use std::borrow::Borrow;
use std::fmt;

/// Maximum nesting of lists and maps, and so the maximum number of steps in a path.
pub(crate) const MAX_DEPTH: usize = 64;

macro_rules! entry_fields {
    ($($(#[$doc:meta])+ $name:ident $(($arg:ident: $type:ty => $step:expr))? = $($key:literal).+,)*) => {
        /// Field of an entry, named by checks that report problems or ask whether it could be read.
        ///
        /// A field has a variant if a check names it.
        ///
        /// ```
        /// # use crisol_schema::EntryField;
        /// assert_eq!(EntryField::WasiEnv(2).to_string(), "wasi.env[2]");
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EntryField {
            $($(#[$doc])+ $name $(($type))?,)*
        }

        impl EntryField {
            /// Keys on the way to the field, from the top of the entry.
            fn keys(&self) -> &'static [&'static str] {
                match self {
                    $(Self::$name $((entry_fields!(@ignore $arg)))? => &[$($key),+],)*
                }
            }

            /// Item or key below the last of the keys.
            fn last_step(&self) -> Option<Step<'_>> {
                match self {
                    $(Self::$name $(($arg))? => entry_fields!(@step $($step)?),)*
                }
            }

            /// Returns the fields without a position or name.
            #[cfg(test)]
            fn plain() -> impl Iterator<Item = Self> {
                [$(entry_fields!(@plain $name $($arg)?)),*].into_iter().flatten()
            }
        }
    };
    (@ignore $arg:ident) => { _ };
    (@step) => { None };
    (@step $step:expr) => { Some($step) };
    (@plain $name:ident) => { Some(Self::$name) };
    (@plain $name:ident $arg:ident) => { None };
}

entry_fields! {
    /// Address of a service.
    Addr = "addr",
    /// Name of a command, in `meta`.
    CommandName = "meta"."command"."name",
    /// Path of a folder.
    Directory = "directory",
    /// Folder entry.
    Fs = "fs",
    /// Hash of a binary.
    Hash = "hash",
    /// Host interfaces granted to a guest.
    Imports = "imports",
    /// Kind of the entry.
    Kind = "kind",
    /// Resource limits.
    Limits = "limits",
    /// One limit, by name.
    Limit(name: &'static str => Step::Key(name)) = "limits",
    /// Export of a function, or request method of an endpoint.
    Method = "method",
    /// Middleware of a router.
    Middleware = "middleware",
    /// Permission bits.
    Mode = "mode",
    /// Modules of a script.
    Modules = "modules",
    /// Description of a service's endpoints.
    Openapi = "openapi",
    /// Path of a binary, a file or a route.
    Path = "path",
    /// Pool of a function.
    Pool = "pool",
    /// Retries of failed calls, in `meta`.
    Retry = "meta"."options"."retry",
    /// Parent router, in `meta`.
    Router = "meta"."router",
    /// Parent service, in `meta`.
    Server = "meta"."server",
    /// Code of a function, as text.
    Source = "source",
    /// One storage of a storage router, by position.
    StorageAt(at: usize => Step::Index(*at)) = "storages",
    /// One timeout of a service, by name.
    Timeout(name: &'static str => Step::Key(name)) = "timeouts",
    /// Certificate of a service.
    TlsCert = "tls"."cert",
    /// Private key of a service.
    TlsKey = "tls"."key",
    /// Transport of a function.
    Transport = "transport",
    /// Values of a static storage.
    Values = "values",
    /// One value of a static storage, by name.
    Value(name: Box<str> => Step::Key(name)) = "values",
    /// Name of a variable in its storage.
    Variable = "variable",
    /// WASI configuration of a guest.
    Wasi = "wasi",
    /// Working directory of a guest.
    WasiCwd = "wasi"."cwd",
    /// One environment variable of a guest, by position.
    WasiEnv(at: usize => Step::Index(*at)) = "wasi"."env",
    /// Signature of a core module.
    Wit = "wit",
}

impl EntryField {
    /// Returns the name of the top-level field.
    pub(crate) fn top(&self) -> &'static str {
        self.keys().first().copied().unwrap_or_default()
    }

    /// Returns the steps of the field's path.
    pub(crate) fn steps(&self) -> Vec<Step<'_>> {
        self.keys().iter().map(|key| Step::Key(key)).chain(self.last_step()).collect()
    }
}

/// Formats the path of the field.
impl fmt::Display for EntryField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.keys().join(".");
        match self.last_step() {
            None => f.pad(&path),
            Some(Step::Key(key)) => write!(f, "{path}.{key}"),
            Some(Step::Index(at)) => write!(f, "{path}[{at}]"),
            Some(Step::Next) => write!(f, "{path}[]"),
        }
    }
}

/// Name of a top-level field of an entry, as the file spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldName(Box<str>);

impl FieldName {
    /// Returns the top-level field of a path.
    pub(crate) fn of(path: &str) -> Self {
        Self(path.split(['.', '[']).next().unwrap_or(path).into())
    }
}

/// Allows lookups by text in sets of names.
impl Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One step of a field path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Key(&'p str),
    Index(usize),
    /// `[]`: the position after the last item, to append a value.
    Next,
}

/// Splits a path such as `wasi.mounts[0].guest` into steps; `None` for malformed text.
pub(crate) fn parse_path(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || steps.len() >= MAX_DEPTH {
            return None;
        }
        steps.push(Step::Key(key));
        while let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            if steps.len() >= MAX_DEPTH {
                return None;
            }
            steps.push(match index {
                "" => Step::Next,
                index => Step::Index(index.parse().ok()?),
            });
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::EntryField;

    #[test]
    fn files_can_have_every_named_field() {
        let schema = crate::json_schema();
        let mut in_files = std::collections::BTreeSet::from(["kind".to_owned()]);
        for rule in schema["$defs"]["Entry"]["allOf"].as_array().into_iter().flatten() {
            let fields = rule["then"]["properties"].as_object();
            in_files.extend(fields.into_iter().flat_map(|fields| fields.keys().cloned()));
        }
        for field in EntryField::plain() {
            assert!(in_files.contains(field.top()), "{field}");
        }
    }

    #[test]
    fn paths_are_written_as_in_messages() {
        let paths = [
            (EntryField::Hash, "hash"),
            (EntryField::TlsKey, "tls.key"),
            (EntryField::WasiEnv(2), "wasi.env[2]"),
            (EntryField::Limit("max_requests"), "limits.max_requests"),
            (EntryField::Value("A.B".into()), "values.A.B"),
        ];
        for (field, path) in paths {
            assert_eq!(field.to_string(), path);
        }
    }
}
