//! Machine code kept on disk from one run of the program to the next.
//!
//! Harmful machine code cannot be detected, so a file is loaded only if this user or the superuser wrote it: it is
//! a regular file that one of them owns, in a folder that one of them owns, and no other user may write to either.
//! The digest in its header detects damaged and truncated files. A bad file costs a compilation, and never a call.

mod files;

use std::fs::{self, File};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wasmtime::Module;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::machine_code::MachineCode;

/// Disk cache for machine code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeCache {
    /// The cache's own folder, created if missing. It must belong to this user or the superuser, and others must
    /// not be able to write to it.
    pub dir: PathBuf,
    /// Maximum bytes of all files together. Beyond it the least recently used files are removed.
    pub max_bytes: u64,
}

impl CodeCache {
    /// Creates a cache in `dir`, of at most 1 GiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: 1 << 30 }
    }

    /// Creates the folder if missing, and checks that code can be kept there.
    ///
    /// # Errors
    /// Fails when the folder cannot be created or written, belongs to another user, or is writable by others.
    pub fn check(&self) -> io::Result<()> {
        files::make_dir(&self.dir)?;
        tempfile::tempfile_in(&self.dir).map(drop)
    }
}

/// Magic bytes of a file. The number increases with each change of the format.
const MAGIC: &[u8; 16] = b"crisol code 0003";
/// The magic, the SHA-256 of all that follows, the kind, and the length of the reachability. The reachability and the
/// code follow.
const HEADER: usize = MAGIC.len() + 32 + 1 + 8;
/// Extension of finished files.
const EXTENSION: &str = "code";
/// Maximum bytes of a file that is read.
const LARGEST: u64 = 2 << 30;
/// Age at which a used file's modification time is updated, which records its last use.
const FRESH: Duration = Duration::from_hours(1);
/// Age at which an unfinished file counts as left behind by a program that ended while writing it.
const ABANDONED: Duration = Duration::from_hours(24);

/// Cache key: digest of the bytes, and whether the code counts instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) digest: Digest,
    pub(crate) fuel: bool,
}

/// Kind of program that was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A component for an engine without concurrency support.
    Component,
    /// A component for the engine with concurrency support.
    Concurrent,
    /// A core module.
    Module,
}

impl Kind {
    pub(crate) fn of(program: &MachineCode, concurrent: bool) -> Self {
        match program {
            MachineCode::Component(_) if concurrent => Self::Concurrent,
            MachineCode::Component(_) => Self::Component,
            MachineCode::Module(_) => Self::Module,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Component => 0,
            Self::Concurrent => 1,
            Self::Module => 2,
        }
    }

    fn parse(byte: u8) -> Option<Self> {
        [Self::Component, Self::Concurrent, Self::Module].into_iter().find(|it| it.byte() == byte)
    }
}

/// Content of a file.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) kind: Kind,
    /// Imports that the code's exports reach, encoded.
    pub(crate) reachability: &'a [u8],
    pub(crate) code: &'a [u8],
}

/// Trusted machine code: only this user or the superuser can write its file, and its digest matches.
pub(crate) struct Trusted {
    code: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) reachability: Vec<u8>,
}

impl CodeCache {
    /// Loads the code that an earlier run kept, if it can be trusted.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, key: Key) -> Option<Trusted> {
        let path = self.path(engine, key);
        match self.read(&path) {
            Ok(trusted) => Some(trusted),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "compiled code on disk is not used");
                None
            }
        }
    }

    fn read(&self, path: &Path) -> io::Result<Trusted> {
        files::check_dir(&self.dir)?;
        let mut file = files::open_own(path)?;
        let length = file.metadata()?.len();
        if length > LARGEST {
            return Err(io::Error::other("the file is too large"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&mut file).take(length).read_to_end(&mut bytes)?;
        let trusted = parse(bytes).ok_or_else(|| io::Error::other("the file is damaged"))?;
        touch(&file);
        Ok(trusted)
    }

    /// Keeps machine code for later runs. A failure to do so is only logged.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, key: Key, content: Content<'_>) {
        let path = self.path(engine, key);
        if let Err(error) = self.write(&path, content) {
            tracing::warn!(file = %path.display(), %error, "cannot store compiled code on disk");
        }
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        files::make_dir(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&header(content))?;
        file.write_all(content.reachability)?;
        file.write_all(content.code)?;
        file.persist(path)?;
        self.evict(path)
    }

    /// Removes the least recently used files until the rest fit `max_bytes`, but never `keep`.
    fn evict(&self, keep: &Path) -> io::Result<()> {
        let mut total = 0_u64;
        let mut old = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // Another process may remove files at the same time.
            let Ok(metadata) = entry.metadata() else { continue };
            let (path, used) = (entry.path(), metadata.modified()?);
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                if metadata.is_file() && used.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(&path);
                }
                continue;
            }
            total = total.saturating_add(metadata.len());
            if path != keep {
                old.push((used, metadata.len(), path));
            }
        }
        old.sort_unstable();
        for (_, length, path) in old {
            if total <= self.max_bytes {
                break;
            }
            // A process with the file open can still read it.
            let _ = fs::remove_file(path);
            total = total.saturating_sub(length);
        }
        Ok(())
    }

    /// The file's path. Its name covers all inputs of the code except the kind of the guest, which is a property
    /// of the bytes.
    fn path(&self, engine: &wasmtime::Engine, Key { digest, fuel }: Key) -> PathBuf {
        let fuel = if fuel { "-fuel" } else { "" };
        let name = format!("{digest}-{:016x}{fuel}.{EXTENSION}", compatibility(engine));
        self.dir.join(name)
    }
}

/// Hash of the engine's settings, equal for engines that can use each other's code.
fn compatibility(engine: &wasmtime::Engine) -> u64 {
    struct Hash(Sha256);
    impl Hasher for Hash {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let digest: [u8; 32] = self.0.clone().finalize().into();
            digest[..8].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
        }
    }
    // Files of another format have other names, so a new release does not report old files as damaged.
    let mut hash = Hash(Sha256::new_with_prefix(MAGIC));
    engine.precompile_compatibility_hash().hash(&mut hash);
    hash.finish()
}

fn header(Content { kind, reachability, code }: Content<'_>) -> Vec<u8> {
    let length = (reachability.len() as u64).to_le_bytes();
    let sealed = [&[kind.byte()], &length[..]].concat();
    let digest = seal(&[&sealed, reachability, code]);
    [&MAGIC[..], &digest, &sealed].concat()
}

fn seal(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

fn parse(mut bytes: Vec<u8>) -> Option<Trusted> {
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (digest, sealed) = rest.split_at_checked(32)?;
    if magic != MAGIC || seal(&[sealed]) != digest {
        return None;
    }
    let (kind, rest) = sealed.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (kind, reachability) = (Kind::parse(*kind)?, rest.get(..length)?.to_vec());
    bytes.drain(..HEADER + length);
    Some(Trusted { code: bytes, kind, reachability })
}

fn touch(file: &File) {
    let now = SystemTime::now();
    let used = file.metadata().and_then(|metadata| metadata.modified());
    if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > FRESH)) {
        // A file whose time cannot be updated is only evicted earlier.
        let _ = file.set_modified(now);
    }
}

/// Loads a component or core module from machine code that this program wrote earlier.
///
/// # Errors
/// Fails when the code is for an engine with other settings, another wasmtime, or the other kind. The code
/// records all three, and they are checked first.
#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; `Trusted` says why it need not"
)]
pub(crate) fn load(engine: &wasmtime::Engine, trusted: &Trusted) -> wasmtime::Result<MachineCode> {
    let code = &trusted.code;
    // SAFETY: `deserialize` of both kinds is sound for unchanged bytes from `serialize` of the same kind. The digest
    // covers the kind, and `deserialize` refuses the other kind. Only `parse` makes a `Trusted`, from a file that
    // `files::open_own` opened. So a process of this user or of the superuser wrote the bytes, into a file that no
    // other user could write to, in a folder where no other user could create one; either could also have changed
    // this program. The bytes begin with our magic and match their digest, so they are intact. They were checked in
    // our own memory, not mapped from the file, so they cannot change afterwards. `deserialize` itself refuses code
    // of another wasmtime release, another configuration or another processor.
    unsafe {
        match trusted.kind {
            Kind::Component | Kind::Concurrent => {
                Component::deserialize(engine, code).map(MachineCode::Component)
            }
            Kind::Module => Module::deserialize(engine, code).map(MachineCode::Module),
        }
    }
}

/// Copies a component or core module to another engine of the same settings.
///
/// # Errors
/// Fails when the engine has other settings.
#[expect(unsafe_code, reason = "wasmtime cannot check machine code; these bytes are its own")]
pub(crate) fn copy(
    engine: &wasmtime::Engine,
    program: &MachineCode,
) -> wasmtime::Result<MachineCode> {
    let code = program.serialize()?;
    // SAFETY: `deserialize` of both kinds is sound for unchanged bytes from `serialize` of the same kind. These come
    // from the line above, and the match takes the kind of what was serialized.
    unsafe {
        match program {
            MachineCode::Component(_) => {
                Component::deserialize(engine, code).map(MachineCode::Component)
            }
            MachineCode::Module(_) => Module::deserialize(engine, code).map(MachineCode::Module),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: u8, code: &[u8]) -> Vec<u8> {
        let length = 3_u64.to_le_bytes();
        let sealed = [&[kind], &length[..], b"all", code].concat();
        [&MAGIC[..], &seal(&[&sealed]), &sealed].concat()
    }

    #[test]
    fn intact_file_is_read_and_changed_file_rejected() {
        let whole = file(1, b"machine code");
        let kind = |file: Vec<u8>| parse(file).map(|it| it.kind);
        let trusted = parse(whole.clone());
        let parts = trusted.map(|it| (it.code, it.reachability));
        assert_eq!(parts, Some((b"machine code".to_vec(), b"all".to_vec())));
        let kind_and =
            Content { kind: Kind::Concurrent, reachability: b"all", code: b"machine code" };
        assert_eq!([&header(kind_and)[..], b"allmachine code"].concat(), whole);
        assert_eq!(kind(whole.clone()), Some(Kind::Concurrent));
        assert_eq!(kind(file(0, b"")), Some(Kind::Component));
        assert_eq!(kind(file(2, b"")), Some(Kind::Module));
        assert_eq!(kind(file(3, b"")), None);
        for at in 0..whole.len() {
            assert!(parse(whole[..at].to_vec()).is_none(), "cut at {at}");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert!(parse(changed).is_none(), "bit {bit} of byte {at}");
            }
        }
    }
}
