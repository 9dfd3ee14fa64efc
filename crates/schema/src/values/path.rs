//! Paths: inside a guest, inside a folder entry, and on the host.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::form::{InvalidValue, text_value};
use crate::rule::Rule;
use crate::yaml::{quote, shorten};

/// Splits a path into its parts, without empty ones and `.`. Fails on `..` and on characters that are not
/// allowed.
fn parts(text: &str) -> Result<Vec<&str>, &'static str> {
    if text.contains('\0') {
        return Err("it has a NUL character");
    }
    if text.contains('\\') {
        return Err("it has a `\\`: separate folders with `/`");
    }
    if text.len() > 4096 {
        return Err("it is over 4096 bytes long");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") { Err("it has a `..`") } else { Ok(parts) }
}

/// An absolute path in a guest, normalized: no `.`, no `..`, no doubled or trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuestPath(Box<str>);

impl GuestPath {
    /// Returns the path, which begins with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if this path equals the other one or is inside it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match self.0.strip_prefix(&*other.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || &*other.0 == "/",
            None => false,
        }
    }
}

impl Default for GuestPath {
    fn default() -> Self {
        Self("/".into())
    }
}

impl FromStr for GuestPath {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if !text.starts_with('/') {
            let message = format!("{} is not an absolute path", quote(text));
            let help = format!("begin it with `/`: `/{}`", shorten(text.trim_start_matches("./")));
            return Err(InvalidValue::new(Rule::BAD_PATH, message, help));
        }
        match parts(text) {
            Ok(parts) => Ok(Self(format!("/{}", parts.join("/")).into())),
            Err(why) => {
                let message = format!("{} is not a path in a guest: {why}", quote(text));
                Err(InvalidValue::new(Rule::BAD_PATH, message, "write a path such as `/data/in`"))
            }
        }
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(GuestPath, "text", "/data", { "type": "string", "pattern": "^/" });

/// Path of a file or folder inside an `fs.directory`, relative and normalized. A leading `/` means the
/// entry's own folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FsPath(Box<str>);

impl FsPath {
    /// Returns the path, without a leading `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path as a [`Path`].
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&*self.0)
    }
}

impl FromStr for FsPath {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let why = match parts(text) {
            Ok(parts) if !parts.is_empty() => return Ok(Self(parts.join("/").into())),
            Ok(_) => "it does not name a file",
            Err(why) => why,
        };
        let message = format!("{} is not a path inside a folder entry: {why}", quote(text));
        let help = "write a path below the entry's folder, such as `/compute.wasm`";
        Err(InvalidValue::new(Rule::BAD_PATH, message, help))
    }
}

impl fmt::Display for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_value!(FsPath, "text", "/compute.wasm", { "type": "string", "minLength": 1 });

/// A folder or file on the host: relative to the app and inside it, or absolute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DirectoryPath(PathBuf);

impl DirectoryPath {
    /// Returns the path as written: relative to the app, or absolute.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Returns true if the path is relative to the app, and so inside it.
    #[must_use]
    pub fn is_inside_app(&self) -> bool {
        self.0.is_relative()
    }

    /// Returns the path on the host. `app` is the app's folder.
    #[must_use]
    pub fn under(&self, app: &Path) -> PathBuf {
        app.join(&self.0)
    }
}

impl FromStr for DirectoryPath {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let why = match parts(text) {
            _ if text.is_empty() => "it is empty",
            Ok(parts) if text.starts_with('/') => {
                return Ok(Self(PathBuf::from(format!("/{}", parts.join("/")))));
            }
            Ok(parts) if parts.is_empty() => return Ok(Self(PathBuf::from("."))),
            Ok(parts) => return Ok(Self(parts.iter().collect())),
            Err("it has a `..`") => "it has a `..`, which could leave the app",
            Err(why) => why,
        };
        let message = format!("{} is not a path for an app: {why}", quote(text));
        let help =
            "write a path relative to the app's folder, such as `./data`, or an absolute one";
        Err(InvalidValue::new(Rule::BAD_PATH, message, help))
    }
}

impl fmt::Display for DirectoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.display(), f)
    }
}

text_value!(DirectoryPath, "text", "./data", { "type": "string", "minLength": 1 });
