//! Machine code kept on disk from one run of the program to the next.
//!
//! Machine code cannot be told from harmful machine code by looking at it, so a file is taken only when
//! this user or the superuser wrote it: it is a regular file of one of them, in a folder of one of them, and nobody else
//! may write to either. The digest in front of it tells a file that was damaged or cut short. Whatever is wrong
//! with a file costs a compilation, and never a call.

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
use crate::program::Program;

/// Where machine code is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeCache {
    /// A folder for nothing else, made when it is missing. It has to belong to this user or the superuser, and to be
    /// closed to writing by others.
    pub dir: PathBuf,
    /// Bytes of all files together. Beyond it those that were not used for longest go.
    pub max_bytes: u64,
}

impl CodeCache {
    /// A cache in `dir`, of at most 1 GiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: 1 << 30 }
    }

    /// Makes the folder if it is missing, and finds out whether code can be kept there.
    ///
    /// # Errors
    /// When it cannot be made or written, is another user's, or others may write to it.
    pub fn check(&self) -> io::Result<()> {
        files::make_dir(&self.dir)?;
        tempfile::tempfile_in(&self.dir).map(drop)
    }
}

/// What a file begins with. The number goes up when what follows it changes.
const MAGIC: &[u8; 16] = b"crisol code 0002";
/// The magic, the kind, and the SHA-256 of the kind and the code.
const HEADER: usize = MAGIC.len() + 1 + 32;
/// How the names of finished files end.
const EXTENSION: &str = "code";
/// No larger file is read.
const LARGEST: u64 = 2 << 30;
/// A file's date is brought up to now when it is older: it tells what was used last.
const FRESH: Duration = Duration::from_hours(1);
/// Unfinished files that are older were left by a program that ended while it wrote them.
const ABANDONED: Duration = Duration::from_hours(24);

/// Which machine code: of which bytes, for which engine, with instructions counted or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) digest: Digest,
    pub(crate) fuel: bool,
}

/// Kind of program that machine code is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A component for an engine without concurrency support.
    Component,
    /// A component for the engine with it.
    Concurrent,
    /// A core module.
    Module,
}

impl Kind {
    pub(crate) fn of(program: &Program, concurrent: bool) -> Self {
        match program {
            Program::Component(_) if concurrent => Self::Concurrent,
            Program::Component(_) => Self::Component,
            Program::Module(_) => Self::Module,
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

/// Machine code that this program wrote, as far as can be told: its file is this user's or the superuser's alone, and
/// its digest is right.
pub(crate) struct Trusted {
    code: Vec<u8>,
    pub(crate) kind: Kind,
}

impl CodeCache {
    /// The code that an earlier run kept, if there is any that can be trusted.
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

    /// Keeps machine code for later runs. That it cannot be kept is no reason to fail.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, key: Key, kind: Kind, code: &[u8]) {
        let path = self.path(engine, key);
        if let Err(error) = self.write(&path, kind, code) {
            tracing::warn!(file = %path.display(), %error, "compiled code cannot be kept on disk");
        }
    }

    fn write(&self, path: &Path, kind: Kind, code: &[u8]) -> io::Result<()> {
        files::make_dir(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        let kind = [kind.byte()];
        file.write_all(MAGIC)?;
        file.write_all(&kind)?;
        file.write_all(&seal(&kind, code))?;
        file.write_all(code)?;
        file.persist(path)?;
        self.evict(path)
    }

    /// Removes what was not used for longest until the rest is within bounds; never `keep`.
    fn evict(&self, keep: &Path) -> io::Result<()> {
        let mut total = 0_u64;
        let mut old = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // Somebody else may remove files at the same time.
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
            // Whoever has it open reads on.
            let _ = fs::remove_file(path);
            total = total.saturating_sub(length);
        }
        Ok(())
    }

    /// The file's name has everything in it that the code depends on but for the kind of the guest,
    /// which is a property of the bytes.
    fn path(&self, engine: &wasmtime::Engine, Key { digest, fuel }: Key) -> PathBuf {
        let fuel = if fuel { "-fuel" } else { "" };
        let name = format!("{digest}-{:016x}{fuel}.{EXTENSION}", compatibility(engine));
        self.dir.join(name)
    }
}

/// What code for one engine has in common with code for another that can use it.
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
    // Files of another form go by other names, so that a new release finds none of an older one damaged.
    let mut hash = Hash(Sha256::new_with_prefix(MAGIC));
    engine.precompile_compatibility_hash().hash(&mut hash);
    hash.finish()
}

fn seal(kind: &[u8], code: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(kind).chain_update(code).finalize().into()
}

fn parse(mut bytes: Vec<u8>) -> Option<Trusted> {
    let header = bytes.get(..HEADER)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let (kind, digest) = rest.split_at(1);
    if magic != MAGIC || seal(kind, bytes.get(HEADER..)?) != digest {
        return None;
    }
    let kind = Kind::parse(*kind.first()?)?;
    bytes.drain(..HEADER);
    Some(Trusted { code: bytes, kind })
}

fn touch(file: &File) {
    let now = SystemTime::now();
    let used = file.metadata().and_then(|metadata| metadata.modified());
    if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > FRESH)) {
        // A file that cannot be touched is evicted earlier, no more.
        let _ = file.set_modified(now);
    }
}

/// Makes a component or a core module of machine code that this program wrote earlier.
///
/// # Errors
/// Fails when the code is for an engine that is set up in another way, of another wasmtime, or of the other kind: all
/// are written in it, and looked at first.
#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; `Trusted` says why it need not"
)]
pub(crate) fn load(engine: &wasmtime::Engine, trusted: &Trusted) -> wasmtime::Result<Program> {
    let code = &trusted.code;
    // SAFETY: `deserialize` of both kinds is sound for bytes that `serialize` of the same kind gave and nobody changed;
    // the kind is under the digest, and `deserialize` refuses the other one. A
    // `Trusted` is made by `parse` alone, of a file that `files::open_own` opened. So the bytes were written
    // by a process of this user or of the superuser, into a file that no other user could write to, in a folder where no
    // other user could put one; either could as well have changed this very program. They
    // begin with our magic and match their digest, so they are whole. They are in our own memory since they
    // were checked, not mapped from the file, so they cannot change after that. Code of another release of
    // wasmtime, another configuration or another processor is refused by `deserialize` itself.
    unsafe {
        match trusted.kind {
            Kind::Component | Kind::Concurrent => {
                Component::deserialize(engine, code).map(Program::Component)
            }
            Kind::Module => Module::deserialize(engine, code).map(Program::Module),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: u8, code: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &[kind], &seal(&[kind], code), code].concat()
    }

    #[test]
    fn a_whole_file_is_read_and_a_changed_one_never() {
        let whole = file(1, b"machine code");
        let kind = |file: Vec<u8>| parse(file).map(|it| it.kind);
        assert!(parse(whole.clone()).is_some_and(|it| it.code == b"machine code"));
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
