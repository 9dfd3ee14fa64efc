//! Lookup of a path and its file. Every function here may block on the disk; a lookup is one visit to a blocking
//! thread, however many names it tries.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::SystemTime;

use bytes::Bytes;
use cap_std::fs::Dir;
use http::{HeaderMap, Method};

use super::FileOptions;
use super::body::CHUNK;
use super::conditions::{FileResponse, Validators};

/// Result of a lookup.
pub(super) enum LookupResult {
    Nothing,
    /// A folder with an index, requested without a trailing slash.
    Folder,
    File(Box<SelectedFile>),
}

/// A file with its response.
pub(super) struct SelectedFile {
    /// Name of the file, from which its media type is derived.
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) validators: Validators,
    pub(super) verdict: FileResponse,
    pub(super) content: Content,
}

/// Content to send.
pub(super) enum Content {
    /// All bytes, for small files, which are read together with the lookup.
    Read(Bytes),
    /// This many bytes, from the file's current position.
    Open(File, u64),
}

/// A request for a path below the folder.
pub(super) struct Lookup {
    pub(super) path: String,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
}

impl Lookup {
    /// Looks up the path, its index and the fallback.
    pub(super) fn run(&self, dir: &Dir, options: &FileOptions) -> io::Result<LookupResult> {
        // Leading slashes would make the path absolute.
        let path = self.path.trim_start_matches('/');
        if path.split('/').any(|name| name.starts_with('.') && name != ".well-known") {
            return Ok(LookupResult::Nothing);
        }
        let is_folder = path.is_empty() || path.ends_with('/');
        let own = match (&options.index, is_folder) {
            (Some(index), true) => self.file(dir, format!("{path}{index}"))?,
            (None, true) => None,
            (_, false) => self.file(dir, path.to_owned())?,
        };
        if let Some(file) = own {
            return Ok(file);
        }
        if let (Some(index), false) = (&options.index, is_folder)
            && dir.metadata(format!("{path}/{index}")).is_ok_and(|about| about.is_file())
        {
            return Ok(LookupResult::Folder);
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        let fallback = options.fallback.as_ref().filter(|_| !last.contains('.'));
        let page = fallback.map(|name| self.file(dir, name.clone())).transpose()?.flatten();
        Ok(page.unwrap_or(LookupResult::Nothing))
    }

    /// Opens a regular file; `None` if there is none of this name.
    fn file(&self, dir: &Dir, name: String) -> io::Result<Option<LookupResult>> {
        match self.open(dir, name) {
            Ok(selected) => Ok(selected.map(|selected| LookupResult::File(Box::new(selected)))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, dir: &Dir, name: String) -> io::Result<Option<SelectedFile>> {
        // Checked before the file is opened: opening a pipe would wait for its other end.
        if !dir.metadata(&name)?.is_file() {
            return Ok(None);
        }
        let mut file = dir.open(&name)?.into_std();
        // Metadata of the opened file, which may have replaced the one checked.
        let about = file.metadata()?;
        let (length, now) = (about.len(), SystemTime::now());
        let validators = Validators::new(length, about.modified().ok(), now);
        let verdict = FileResponse::of(&self.method, &self.headers, length, &validators, now);
        let content = match &verdict {
            FileResponse::Whole => content(file, length)?,
            FileResponse::Part(range) => {
                file.seek(SeekFrom::Start(*range.start()))?;
                content(file, range.end() - range.start() + 1)?
            }
            _ => Content::Read(Bytes::new()),
        };
        Ok(Some(SelectedFile { name, length, validators, verdict, content }))
    }
}

fn content(mut file: File, length: u64) -> io::Result<Content> {
    let Ok(size) = usize::try_from(length) else { return Ok(Content::Open(file, length)) };
    if size > CHUNK {
        return Ok(Content::Open(file, length));
    }
    let mut bytes = vec![0; size];
    file.read_exact(&mut bytes)?;
    Ok(Content::Read(Bytes::from(bytes)))
}

/// True if an error means to the client that there is no such file.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
    )
}
