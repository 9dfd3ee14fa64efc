//! Files of an app, on disk or in memory. Reads nothing outside the app's folder: on disk every path is
//! opened below a directory handle, so neither `..` nor a symlink can escape.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::problems::{Diagnostics, Report};
use crate::rule::Rule;
use crate::source::{SourceMap, Unreadable};
use crate::yaml::quote;

/// Maximum size of an index file, in bytes.
pub(crate) const MAX_INDEX: u64 = 64 << 20;
/// Maximum size of a `file://` source, in bytes.
pub(crate) const MAX_SOURCE: u64 = 32 << 20;
/// Maximum total size of an app's files, in bytes.
pub(crate) const MAX_APP: u64 = 1 << 30;
/// Maximum depth of folders that are searched for index files.
pub const MAX_FOLDERS: usize = 64;

/// Names of index files.
const INDEX: [&str; 3] = ["_index.yaml", "_index.yml", "_index.json"];

/// Returns true if `name` is the name of an index file. It counts in any folder of an app.
#[must_use]
pub fn is_index_file(name: &str) -> bool {
    INDEX.contains(&name)
}

/// Returns true if a folder of this name is searched for index files. Hidden folders and installed packages
/// are skipped: they are not part of the app.
#[must_use]
pub fn is_searched_folder(name: &str) -> bool {
    !name.starts_with('.') && name != "node_modules"
}

/// Texts by path, relative to the app's folder.
pub(crate) type Texts = BTreeMap<String, Arc<str>>;

/// Readable files: memory first, then disk.
#[derive(Debug, Default)]
pub(crate) struct AppFiles {
    memory: Arc<Texts>,
    disk: Option<Dir>,
}

impl AppFiles {
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        Self::default().with_folder(dir)
    }

    pub(crate) fn in_memory(memory: Arc<Texts>) -> Self {
        Self { memory, ..Self::default() }
    }

    /// Adds a folder, for files that are not in memory.
    pub(crate) fn with_folder(mut self, dir: &Path) -> std::io::Result<Self> {
        self.disk = Some(Dir::open_ambient_dir(dir, ambient_authority())?);
        Ok(self)
    }

    /// Returns the index files, sorted by path. Reports folders that cannot be searched: an error for the
    /// app's own folder, a warning for any other.
    pub(crate) fn indexes(&self, diagnostics: &mut Diagnostics) -> Vec<String> {
        let mut found = Vec::new();
        match &self.disk {
            None => found.extend(self.memory.keys().filter(|path| is_index(path)).cloned()),
            Some(root) => search(root, "", 0, &mut found, diagnostics),
        }
        found.sort();
        found
    }

    /// Reads a file of at most `max` bytes. The size limit of the app also applies; `sources` counts towards
    /// it.
    pub(crate) fn read(
        &self,
        path: &str,
        max: u64,
        sources: &SourceMap,
    ) -> Result<Vec<u8>, Unreadable> {
        let fail = |reason: &str| Unreadable {
            rule: Rule::IO,
            reason: format!("cannot be read: {reason}"),
        };
        let left = MAX_APP.saturating_sub(sources.bytes());
        let large = || {
            let over = match max <= left {
                true => format!("is larger than {max} bytes"),
                false => format!("exceeds the limit of {MAX_APP} bytes for all files of the app"),
            };
            Unreadable { rule: Rule::TOO_LARGE, reason: over }
        };
        if let Some(text) = self.memory.get(path) {
            let fits = text.len() as u64 <= max.min(left);
            return if fits { Ok(text.as_bytes().to_vec()) } else { Err(large()) };
        }
        let root = self.disk.as_ref().ok_or_else(|| fail("no such file"))?;
        // Opening a FIFO would block, so its type is checked first.
        let meta = root.metadata(path).map_err(|error| fail(&io_reason(&error)))?;
        if !meta.is_file() {
            return Err(fail("it is not a file"));
        }
        if meta.len() > max.min(left) {
            return Err(large());
        }
        let file = root.open(path).map_err(|error| fail(&io_reason(&error)))?;
        let mut bytes = Vec::new();
        let read = file.take(max.min(left) + 1).read_to_end(&mut bytes);
        read.map_err(|error| fail(&io_reason(&error)))?;
        // The file may have grown since the check.
        if bytes.len() as u64 > max.min(left) { Err(large()) } else { Ok(bytes) }
    }

    /// Reads the `file://path` source of an index file. Also returns its path relative to the app's folder.
    pub(crate) fn source(
        &self,
        index: &str,
        path: &str,
        sources: &mut SourceMap,
    ) -> Result<(PathBuf, u32), Report> {
        let from = Path::new(index).parent().unwrap_or(Path::new(""));
        let bad = |rule, reason: &str| {
            let message = format!("{} {reason}", quote(&format!("file://{path}")));
            let up = "../".repeat(from.components().count());
            // Paths in other fields (`directory`) are relative to the app's folder.
            let help = if !up.is_empty() && self.is_file(path) {
                let path = path.trim_start_matches("./");
                format!(
                    "it is relative to the folder of this index file: write {}",
                    quote(&format!("file://{up}{path}"))
                )
            } else {
                "name a file inside the app, relative to the folder of this index file".to_owned()
            };
            Report::error(rule, message).help(help)
        };
        let full = join_inside_app(from, path).map_err(|reason| bad(Rule::BAD_SOURCE, reason))?;
        let name = full.to_string_lossy().replace('\\', "/");
        let known = sources.file(&name).cloned();
        let found = known.unwrap_or_else(|| match self.source_text(&name, sources) {
            Ok(text) => Ok(sources.add_file(&name, strip_bom(&text).into())),
            Err(unread) => {
                sources.add_unreadable(&name, unread.clone());
                Err(unread)
            }
        });
        match found {
            Ok(source) => Ok((full, source)),
            Err(unread) if unread.rule == Rule::TOO_LARGE => {
                Err(bad(Rule::TOO_LARGE, &unread.reason).help("split the file"))
            }
            Err(unread) => Err(bad(Rule::BAD_SOURCE, &unread.reason)),
        }
    }

    /// Returns true if a path, relative to the app's folder, names a file.
    fn is_file(&self, path: &str) -> bool {
        let on_disk = |root: &Dir| root.metadata(path).is_ok_and(|meta| meta.is_file());
        self.memory.contains_key(path) || self.disk.as_ref().is_some_and(on_disk)
    }

    fn source_text(&self, name: &str, sources: &SourceMap) -> Result<String, Unreadable> {
        let bytes = self.read(name, MAX_SOURCE, sources)?;
        String::from_utf8(bytes).map_err(|error| {
            // A DER sequence with a long length form, as certificates and keys in DER begin.
            let reason = match error.as_bytes() {
                [0x30, 0x81..=0x84, ..] => {
                    "is DER and not text: convert it to PEM with `openssl x509` or `openssl pkey`, `-inform DER`"
                }
                _ => "is not UTF-8 text",
            };
            Unreadable { rule: Rule::BAD_SOURCE, reason: reason.to_owned() }
        })
    }
}

impl Unreadable {
    /// Returns the report for an unreadable index file. It has no location, since no line names the file.
    pub(crate) fn index_report(&self, path: &str) -> Report {
        let help = match self.rule {
            Rule::TOO_LARGE => "split the file",
            _ => "make the file readable, or move it out of the app",
        };
        Report::error(self.rule, format!("{} {}", quote(path), self.reason)).help(help)
    }
}

pub(crate) fn strip_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Formats an I/O error in lower case, without the OS error number.
#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of a system have no end")]
pub(crate) fn io_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => "no such file".to_owned(),
        Kind::PermissionDenied if error.raw_os_error().is_none() => {
            "it leads outside the app".to_owned()
        }
        Kind::PermissionDenied => "permission denied".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or("").to_owned();
            text.to_lowercase()
        }
    }
}

/// Joins a path to a folder of the app. Fails if the result leaves the app.
fn join_inside_app(folder: &Path, path: &str) -> Result<PathBuf, &'static str> {
    if path.is_empty() {
        return Err("does not name a file");
    }
    if path.contains('\0') {
        return Err("has a NUL character");
    }
    let mut full: Vec<_> = folder.components().map(|part| part.as_os_str().to_owned()).collect();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => full.push(part.to_owned()),
            Component::CurDir => {}
            Component::ParentDir => drop(full.pop().ok_or("leaves the app")?),
            Component::RootDir | Component::Prefix(_) => return Err("is an absolute path"),
        }
    }
    Ok(full.iter().collect())
}

fn is_index(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    is_index_file(name) && folder.split('/').all(|part| part.is_empty() || is_searched_folder(part))
}

fn search(
    dir: &Dir,
    path: &str,
    depth: usize,
    found: &mut Vec<String>,
    diagnostics: &mut Diagnostics,
) {
    if depth > MAX_FOLDERS {
        let message = format!("folders are nested more than {MAX_FOLDERS} deep at {}", quote(path));
        let report = Report::error(Rule::IO, message)
            .help("nest fewer folders, or move the folder out of the app");
        return diagnostics.of_app(report);
    }
    let entries = match dir.entries() {
        Ok(entries) => entries,
        Err(error) => return diagnostics.of_app(unlistable_folder(path, &error)),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return diagnostics.of_app(unlistable_folder(path, &error)),
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        let full = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        // Symlinked folders are not followed, since they could form a cycle.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && is_searched_folder(&name) {
            match entry.open_dir() {
                Ok(inner) => search(&inner, &full, depth + 1, found, diagnostics),
                // Removed since its name was read, so nothing is left to search.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => diagnostics.of_app(unlistable_folder(&full, &error)),
            }
        } else if !is_folder && is_index_file(&name) {
            found.push(full);
        }
    }
}

/// Returns the report for a folder that cannot be listed. An unreadable subfolder, such as another user's
/// `lost+found`, does not prevent loading.
fn unlistable_folder(path: &str, error: &std::io::Error) -> Report {
    let help = "make the folder readable, or move it out of the app";
    if path.is_empty() {
        let message = format!("cannot list the folder `.`: {}", io_reason(error));
        return Report::error(Rule::IO, message).help(help);
    }
    let message = format!(
        "cannot list the folder {}: {}; no index file in it is read",
        quote(path),
        io_reason(error)
    );
    Report::warning(Rule::IO, message).help(help)
}
