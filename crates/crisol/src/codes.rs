//! The code of an app's entries: every distinct one is read, wrapped and compiled once, and several at a
//! time.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crisol_core::{EntryId, chain};
use crisol_engine::{CallGraph, CompileError, Compiled, Digest, Engine, Reached};
use crisol_schema::{Code, Registry, Report, SourceText};
use crisol_wasi::FsSource;

use crate::code::{self, BAD_CODE, BUILD_AGAIN, BUILD_SMALLER, Fault};
use crate::own::Binaries;

/// What an entry wants compiled.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) code: &'a Code,
    pub(crate) wit: Option<&'a SourceText>,
    pub(crate) method: &'a str,
    /// Whether instructions are to be counted.
    pub(crate) fuel: bool,
    /// Whether the code must be what its hash says: it need not where no hash can be read, and then nothing is
    /// served.
    pub(crate) verified: bool,
}

/// Where code comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Origin<'a> {
    Text(&'a str, Option<&'a Path>),
    File(&'a EntryId, &'a str),
}

/// Bytes as they were found.
#[derive(Clone)]
struct Found {
    bytes: Arc<[u8]>,
    digest: Digest,
    /// Asked for after the hash was looked at: a wrong file is likelier than a wrong hash of a bad file.
    kind: Result<crisol_wit::Kind, Fault>,
}

/// What compiled code depends on, and whether it counts instructions. Wrapping a core module looks at its
/// entry's WIT and method; a component is what it is.
type Key<'a> = (Digest, Option<(Option<&'a str>, &'a str)>, bool);

/// Compiled code, and what its functions may call.
#[derive(Clone)]
struct Made {
    compiled: Compiled,
    /// Of what was wrapped: of a component, each entry has its own.
    method: Option<String>,
    calls: Option<Arc<CallGraph>>,
}

/// Compiled code, the method by which it has the function of its entry, and what its functions may call.
pub(crate) struct Ready {
    pub(crate) compiled: Compiled,
    pub(crate) method: String,
    calls: Option<Arc<CallGraph>>,
}

impl Ready {
    /// Imports that an export may call.
    pub(crate) fn reached(&self, (interface, name): (Option<&str>, &str)) -> Reached {
        self.calls.as_ref().map_or(Reached::ALL, |calls| calls.reached(interface, name))
    }
}

/// The code of one app while it is assembled.
pub(crate) struct Codes<'a> {
    engine: &'a Engine,
    folders: &'a dyn FsSource,
    /// Binaries that are no files, and the registry that says where they stand.
    binaries: (&'a Registry, &'a Binaries),
    found: Once<Origin<'a>, Found>,
    compiled: Once<Key<'a>, Made>,
}

impl<'a> Codes<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        folders: &'a dyn FsSource,
        binaries: (&'a Registry, &'a Binaries),
    ) -> Self {
        Self { engine, folders, binaries, found: Once::default(), compiled: Once::default() }
    }

    /// Compiles all that is wanted, on every core. What is wrong with one is told when it is asked for, so
    /// that problems come in the order of the entries.
    pub(crate) fn prepare(&self, wanted: &[Wanted<'a>]) {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(wanted) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _ = self.compile(wanted);
            }
        };
        thread::scope(|scope| {
            for _ in 1..cores.min(wanted.len()) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// The compiled code that an entry wants: made now, if nobody else wanted it before.
    pub(crate) fn compile(&self, wanted: &Wanted<'a>) -> Result<Ready, Fault> {
        let (found, kind) = self.recognise(wanted)?;
        let is_core = matches!(kind, crisol_wit::Kind::Core);
        let wrapping = is_core.then(|| (wanted.wit.map(SourceText::text), wanted.method));
        let Made { compiled, method, calls } =
            self.compiled.get((found.digest, wrapping, wanted.fuel), || {
                let field = code::field_of(wanted.code);
                let refused = |error: CompileError| {
                    let help = match &error {
                        CompileError::TooLarge(_) => BUILD_SMALLER.to_owned(),
                        CompileError::Unsupported(unsupported) => unsupported.fix(),
                        _ => BUILD_AGAIN.to_owned(),
                    };
                    Fault::at(field, Report::error(BAD_CODE, chain(&error)).help(help))
                };
                // Wrapping looks at all of it and copies it several times.
                self.engine.check_size(&found.bytes).map_err(|error| refused(error.into()))?;
                let make = |component: &[u8], method| {
                    let compiled = self.engine.compile(component, wanted.fuel).map_err(refused)?;
                    let calls = CallGraph::of(component).map(Arc::new);
                    Ok(Made { compiled, method, calls })
                };
                if is_core {
                    // Several methods of a module may come to one component, which the engine compiles once.
                    let wrapped = code::wrap(&found.bytes, wanted)?;
                    return make(&wrapped.component, Some(wrapped.method));
                }
                make(&found.bytes, None)
            })?;
        let method = method.unwrap_or_else(|| wanted.method.to_owned());
        Ok(Ready { compiled, method, calls })
    }

    /// Looks at the code that an entry wants, and compiles none.
    pub(crate) fn look(&self, wanted: &Wanted<'a>) -> Result<(), Fault> {
        self.recognise(wanted).map(drop)
    }

    fn recognise(&self, wanted: &Wanted<'a>) -> Result<(Found, crisol_wit::Kind), Fault> {
        let found = self.find(wanted.code)?;
        if let (true, Code::Wasm { path, hash, .. }) = (wanted.verified, wanted.code) {
            code::verify(found.digest, hash, path.as_str())?;
        }
        let kind = found.kind.clone()?;
        Ok((found, kind))
    }

    /// Checks that the file of an entry is, by its hash, the one that the entry means.
    pub(crate) fn verify(&self, code: &'a Code) -> Result<(), Fault> {
        match code {
            Code::Wat { .. } => Ok(()),
            Code::Wasm { path, hash, .. } => {
                code::verify(self.find(code)?.digest, hash, path.as_str())
            }
        }
    }

    fn find(&self, code: &'a Code) -> Result<Found, Fault> {
        let origin = match code {
            Code::Wat { source } => Origin::Text(source.text(), source.file()),
            Code::Wasm { fs, path, .. } => Origin::File(fs, path.as_str()),
        };
        self.found.get(origin, || {
            let (registry, binaries) = self.binaries;
            let bytes: Arc<[u8]> = match binaries.find(registry, code) {
                Some(bytes) => Arc::clone(bytes),
                None => code::read(code, self.folders)?.into(),
            };
            let kind = crisol_wit::parse_code(&bytes).map_err(|error| {
                let report = Report::error(BAD_CODE, chain(&error)).help(error.fix());
                Fault::at(code::field_of(code), report)
            });
            Ok(Found { digest: Digest::of(&bytes), bytes, kind })
        })
    }
}

/// Values by key, each made by the first who asks; others who ask meanwhile wait for it.
struct Once<K, V>(Mutex<HashMap<K, Arc<Slot<V>>>>);

type Slot<V> = OnceLock<Result<V, Fault>>;

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> Result<V, Fault>) -> Result<V, Fault> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(slots.entry(key).or_default());
        drop(slots);
        slot.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_whoever_asks_and_so_is_a_fault() {
        let (made, once) = (AtomicUsize::new(0), Once::default());
        let ask = |key: u8| {
            once.get(key, || {
                made.fetch_add(1, Ordering::Relaxed);
                if key == 0 {
                    Err(Fault::at("path", Report::error(BAD_CODE, "no")))
                } else {
                    Ok(key)
                }
            })
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    assert!(ask(0).is_err());
                    assert_eq!(ask(1).ok(), Some(1));
                    assert_eq!(ask(2).ok(), Some(2));
                });
            }
        });
        assert_eq!(made.into_inner(), 3);
    }
}
